import numpy as np

from kcnn.callbacks.doctor._registry import check, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention


@check(
    "training_length", "too_few_epochs", stage="end", needs=("trials",),
    cure=Intervention(longer=True),
)  # fmt: skip
def training_length(
    context,
    *,
    epochs=parameter(5, "few epochs, by what is customary"),
    steps=parameter(200, "few steps; fewer than a third of them are very few"),
):
    """A run that was ended while it still improved: worth going on."""
    case, trials = context.case, context.trials
    if context.run.cut or context.run_lost:
        return
    odds = 0.2 * (case.epochs <= epochs) + 0.15 * (case.epochs <= 2)
    if not (case.batch_size > 64 and case.batch_size * 4 >= case.train.n):
        odds += 0.15 * (trials.steps < steps) + 0.2 * (trials.steps < 0.3 * steps)
    yield possible(
        f"after {case.epochs} epochs ({trials.steps} steps) training still improves",
        "training until the curve is flat",
        f"Train longer: epochs={max(3 * case.epochs, 10)}.", "fit(epochs=...)",
        strength=float(np.clip(odds / 0.35, 0, 1)),
    )  # fmt: skip
