"""Step 6: what the curves of the best training say, and what to change."""

from __future__ import annotations

from kcnn.callbacks import read_curves
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]


def run(work: Work) -> StepOutcome:
    """Read the loss and accuracy curves of the best longer training."""
    refined = work.results["refine"]
    history = refined["runs"][refined["best"]]["history"]
    reading = read_curves({k: v for k, v in history.items() if k != "learning_rate"})
    return StepOutcome(
        tuple(reading.findings),
        {
            "verdict": reading.verdict,
            "onset_epoch": reading.onset_epoch,
            "advice": reading.advice,
        },
    )
