"""The checks before a training: the initial loss, a small sample, and NaN where it hides."""

from kcnn.callbacks.sanity._expected import expected_initial_loss
from kcnn.callbacks.sanity._initial_loss import InitialLossCheck, judge_initial_loss
from kcnn.callbacks.sanity._nonfinite import (
    FILL_THEM,
    first_nonfinite,
    nonfinite_finding,
    weights_of,
)
from kcnn.callbacks.sanity._small_sample import (
    SmallSampleCheck,
    SmallSampleResult,
    judge_small_sample,
)

__all__ = [
    "FILL_THEM", "InitialLossCheck", "SmallSampleCheck", "SmallSampleResult",
    "expected_initial_loss", "first_nonfinite", "judge_initial_loss", "judge_small_sample",
    "nonfinite_finding", "weights_of",
]  # fmt: skip
