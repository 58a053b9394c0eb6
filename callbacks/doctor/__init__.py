"""The doctor: names the root cause when a network does not train.

A program is read into a `Context`; checks (one file each, in `checks/`, found through the
registry) yield hypotheses; trials on copies confirm or refute them by their cures
(`interventions/`); one table (`_ranking`) orders what is told. A check of one's own is a function
with `@check(...)`.
"""

from kcnn.callbacks.doctor._context import Context
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._examine import examine
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor._live import Doctor
from kcnn.callbacks.doctor._registry import (
    Check,
    check,
    likely,
    parameter,
    possible,
    proven,
    registered,
)  # fmt: skip
from kcnn.callbacks.doctor.interventions import Edit, Intervention

__all__ = [
    "Certainty", "Check", "Context", "Diagnosis", "Doctor", "Edit", "Hypothesis", "Intervention",
    "check", "examine", "likely", "parameter", "possible", "proven", "registered",
]  # fmt: skip
