"""What the doctor says to a step that failed."""

from __future__ import annotations

import dataclasses

from kcnn.callbacks import Finding, examine
from kcnn.recipe.step import Context
from kcnn.recipe.steps.small_sample import usual_rates

__all__ = ["examined"]

IMAGES = 512  # shown to the doctor
EPOCHS = 3
SECONDS = 60.0
SHOWN = 3  # causes


def examined(context: Context) -> tuple[Finding, ...]:
    """Examine the model on some of the images, as the steps trained it; its likeliest causes."""
    hp = context.hp
    model = context.models.fresh(hp)
    model = context.models.fresh({**hp, "learning_rate": usual_rates(model)[0]})
    x, y = context.data.sample(IMAGES, seed=context.settings.seed)
    context.display.say("    asking the doctor why …", "dim")
    try:
        diagnosis = examine(
            model, x, y, epochs=EPOCHS, batch_size=context.batch_size, budget_s=SECONDS
        )
    except Exception as error:  # the doctor is asked beside the step's own verdict
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return (Finding("doctor", "note", f"the doctor could not examine it: {said}", ""),)
    causes = [f for f in diagnosis.findings if f.severity in ("failure", "warning")]
    return tuple(dataclasses.replace(f, check=f"doctor: {f.check}") for f in causes[:SHOWN])
