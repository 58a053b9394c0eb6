import keras
import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, proven

ADVICE = (
    "Check in train_step that gradients of this very loss reach the trainable weights and are "
    "applied, and that the learning rate is not tiny."
)


@check("own_step", "frozen_layers", "lr_too_high", stage="end", cost="training", needs=("trials",))
def own_step(
    context,
    *,
    epochs=parameter(3, "fewer may be a warm-up"),
    change=parameter(0.01, "share of the first loss: less is none"),
    gain=parameter(0.2, "skill that the standard step wins: no rounding, no other order"),
):
    """A train_step whose loss does not move, or that does far worse than the standard one."""
    if type(context.model).train_step is keras.Model.train_step:
        return
    losses = np.asarray(context.history.get("loss", []), "float64")
    own = context.model.loss is None  # the step's alone: what it logs must do
    before, after = (losses[0], losses[-1]) if own and len(losses) else _losses(context)
    swings = np.abs(losses - before).max(initial=0) if own else abs(after - before)
    if len(losses) >= epochs and before and swings <= change * abs(before):
        yield proven(
            f"the loss stays at {after:.3g} under the model's own train_step", "a loss that falls",
            ADVICE, "train_step", evidence={"first": before, "last": after},
        )  # fmt: skip
        return
    out = None if own else context.trials.run()
    if out is None or out.score - context.final.score < gain:
        return
    grew = not np.isfinite(after) or after > 1.02 * before
    kind = proven if grew else likely
    yield kind(
        "the loss grows under the model's own train_step and falls under the standard one"
        if grew else "the standard train_step trains far better than the model's own",
        "the gradient subtracted, at a moderate rate",
        "Check the sign of the gradients in train_step.", "train_step", cause="lr_too_high",
        evidence={"own": context.final.score, "standard": out.score},
    )  # fmt: skip


def _losses(context):
    """Loss with the weights of the start and of the end: a step may log anything, or nothing."""
    trainer, rows = context.trials.trainer(), context.trials.data.look
    found = []
    for values in (None, context.trials.ended):
        trainer.reset(values)
        found.append(trainer.loss_of(rows))
    return found
