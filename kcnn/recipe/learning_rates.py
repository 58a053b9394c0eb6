"""Step 3: the rate at which the loss falls clearly and stably within 100 updates."""

from __future__ import annotations

from kcnn.callbacks import LRSweep
from kcnn.recipe.work import StepOutcome, Work

__all__ = ["run"]

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
ITERATIONS = 100
WEIGHT_DECAY = 1e-4


def run(work: Work) -> StepOutcome:
    """Try each rate on the full training data from the same initial weights."""
    model = work.bench.fresh(lr=RATES[0], weight_decay=WEIGHT_DECAY)
    sweep = LRSweep(
        RATES, iterations=ITERATIONS, weight_decay=WEIGHT_DECAY, seed=work.config.seed, sink=None
    )
    with work.display.progress("trying rates", len(RATES) * ITERATIONS) as bar:

        def show(rate: int, iteration: int, loss: float) -> None:
            done = rate * ITERATIONS + iteration + 1
            bar.show(done, f"rate {RATES[rate]:.0e}, loss {loss:.3f}")

        result = sweep.run(model, work.train_data(purpose="learning rates"), on_iteration=show)
    return StepOutcome(
        tuple(result.findings),
        {
            "weight_decay": WEIGHT_DECAY,
            "iterations": ITERATIONS,
            "curves": [
                {
                    "lr": curve.lr,
                    "losses": list(curve.losses),
                    "verdict": curve.verdict,
                    "reason": curve.reason,
                }
                for curve in result.curves
            ],
            "suggestion": result.suggestion,
        },
    )
