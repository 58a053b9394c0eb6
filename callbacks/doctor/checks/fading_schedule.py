import numpy as np

from kcnn.callbacks.doctor._registry import check, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention


@check(
    "fading_schedule", "lr_too_low", stage="end", needs=("trials",), cure=Intervention(hold=True)
)
def fading_schedule(
    context, *, most=parameter(0.3, "share of steps under a hundredth of the start")
):
    """A learning rate that has faded for much of the run."""
    rates = context.trials.rates
    share = fading(rates)
    if share > most:
        yield possible(
            f"the learning rate falls from {rates.max():.2g} to {rates[-1]:.2g}: in "
            f"{100 * share:.0f} % of the steps it is under a hundredth of its start",
            "a rate that falls late in training", "Let the schedule fall more slowly.",
            "compile(optimizer=...)", strength=share,
            evidence={"largest": float(rates.max()), "last": float(rates[-1])},
        )  # fmt: skip


def fading(rates: np.ndarray) -> float:
    """Share of the steps taken at less than a hundredth of the largest rate."""
    return float(np.mean(rates < 0.01 * rates.max())) if rates.size else 0.0
