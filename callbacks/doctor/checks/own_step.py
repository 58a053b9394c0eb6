import keras
import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, proven
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.rows import on_tensorflow

STANDARD = Intervention(plain_step=True)
BARE = Intervention(bare=True)
FALLS = "a loss that falls"


@check(
    "own_step", "frozen_layers", "loss_activation_mismatch", "lr_too_high", stage="end",
    cost="training", needs=("trials",),
)  # fmt: skip
def own_step(
    context,
    *,
    epochs=parameter(3, "fewer may be a warm-up"),
    change=parameter(0.01, "share of the first loss: less is none"),
    steady=parameter(0.75, "of the epochs lower than the one before: slow, and no standstill"),
    gain=parameter(0.2, "skill that the standard step wins: no rounding, no other order"),
    most=parameter(0.5, "share of that gain which what explains it wins by itself"),
):
    """A train_step that moves no or only some weights, or does worse than the standard one."""
    if type(context.model).train_step is keras.Model.train_step:
        return
    before, after = _losses(context)
    more = {"where": "train_step", "evidence": {"first": before, "last": after}}
    if context.run.steps > epochs and not _moved(context):
        yield proven(
            "no trainable weight is changed by the model's own train_step", FALLS,
            "Compute the gradients of this very loss for self.trainable_variables in train_step, "
            "and apply them: self.optimizer.apply(gradients, self.trainable_variables).", **more,
        )  # fmt: skip
        return
    logged = np.asarray(context.history.get("loss", [before, after]))
    swings = max(abs(after - before), np.ptp(logged))
    falls = after < before and np.mean(np.diff(logged) < 0) >= steady
    if len(context.run.rates) >= epochs and swings <= change * abs(before) and not falls:
        yield likely(
            f"the loss stays at {after:.3g} under the model's own train_step", FALLS,
            "Check in train_step that the gradients are those of the loss that is logged.", **more,
        )  # fmt: skip
    out = None if context.by_loss or not on_tensorflow() else context.trials.run(STANDARD)
    if out is None or out.score - context.final.score < gain:
        return
    resting = _resting(context)
    if resting:
        yield proven(
            f"the model's own train_step leaves {len(resting)} trainable weights as they were "
            f"({', '.join(resting[:4])}), which the standard one trains", "all of them trained",
            "Apply gradients to self.trainable_variables in train_step, not to a part of them.",
            "train_step", evidence={"own": context.final.score, "standard": out.score},
        )  # fmt: skip
        return
    squashed = context.head.activation
    bare = context.trials.run(BARE) if squashed in ("softmax", "sigmoid") else None
    if bare is not None and bare.score - context.final.score >= most * (
        out.score - context.final.score
    ):
        yield proven(
            f"without its {squashed} the model does far better under its own train_step, whose "
            "loss seems to squash once more", "one softmax or sigmoid",
            "Remove the activation of the last layer, or take a loss of probabilities in "
            "train_step.", context.head.layer, cause="loss_activation_mismatch",
            evidence={"own": context.final.score, "bare": bare.score},
        )  # fmt: skip
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


def _moved(context):
    """Whether the run changed any weight that it ought to train."""
    trainer = context.trials.trainer()
    return len(_still(trainer, context.trials.ended)) < len(trainer.model.trainable_variables)


def _resting(context):
    """Weights that the run left as they were and that training by the standard step changed."""
    runner = context.trials
    standard = runner.trainer(STANDARD)
    ended = _still(standard, runner.values(standard, context.run.weights))
    return [name for name in ended if name not in _still(standard, standard.values())]


def _still(trainer, values):
    """Names of the trainable weights that are in `values` as they were at the start."""
    trained = {id(v) for v in trainer.model.trainable_variables}
    triples = zip(trainer.model.variables, trainer.start, values, strict=True)
    return [v.path for v, a, b in triples if id(v) in trained and np.array_equal(a, b)]
