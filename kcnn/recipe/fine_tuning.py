"""The second regime of transfer: the whole network learns, from the best head on."""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.context import Context
from kcnn.recipe.long_run import FINE_TUNED, LongRun, best_of, planned, run_folder, train_long
from kcnn.recipe.results import read_result
from kcnn.recipe.training import Length, clearly_better, length_of
from kcnn.recipe.training_data import looked_at_once
from kcnn.recipe.transfer import FeatureData
from kcnn.transfer import head_of, unfreeze

__all__ = ["best_regime", "fine_tune", "fine_tuned_model"]

RATE = 5e-4  # Adam's, of the head; benchmarks/transfer.py
BATCH = 32  # images, at most: fewer of large ones, for the memory
BACKWARD = 3.0  # a training step costs about three passes forward
SECONDS = {"quick": 120.0, "standard": 900.0, "thorough": 7200.0}  # where no --time is given
PASSES = {"quick": (3, 15), "standard": (3, 30), "thorough": (3, 60)}  # least and most
TIME_KEPT = 0.15  # of the time that scoring leaves, for export and the page


def fine_tune(
    context: Context, data: FeatureData, runs: Sequence[LongRun]
) -> tuple[LongRun | None, str]:
    """Let the backbone learn too, from the best of the trained heads on; or why it was not tried.

    As long as the budget or the time allows. The backbone is as before afterwards.
    """
    frozen = best_of(runs, data.val_images)
    if frozen is None or frozen.best_epoch is None:
        return None, "fine-tuning was not tried: every head diverged"
    folder = run_folder(context.state, len(runs))
    kept = Checkpoint.row(folder)
    if kept is not None:
        return read_result(LongRun, kept), ""
    batch_size = min(BATCH, looked_at_once(data.dataset.image_shape), data.train_images)
    if frozen.val_accuracy == 1.0:
        return None, "fine-tuning was not tried: nothing is left to gain over the frozen backbone"
    plan, seconds = _length(context, data, batch_size)
    length = planned(folder, plan)
    if length is None:
        least = PASSES[context.settings.budget][0]
        return None, (
            f"fine-tuning was not tried: {least} epochs of it would take about "
            f"{least * seconds:.0f} s; a larger --budget or --time leaves room for it"
        )
    hp = {
        "learning_rate": RATE,
        "weight_decay": 0.0,
        "batch_size": batch_size,
        "dropout": frozen.hp.get("dropout", 0.0),
    }
    backbone = data.transfer.backbone
    before = backbone.get_weights()
    try:
        model = _compiled(data, hp)
        of = run_folder(context.state, list(runs).index(frozen))
        head_of(model).set_weights(Checkpoint.best_weights(of, frozen.best_epoch))
        run = train_long(
            context,
            len(runs),
            model,
            hp,
            length,
            data=data.images,
            title="fine-tuning the whole network",
            regime=FINE_TUNED,
            seconds=_seconds_for(context, data),
        )
    finally:
        backbone.trainable = False
        backbone.set_weights(before)
    return run, ""


def best_regime(frozen: LongRun | None, tuned: LongRun | None, images: int) -> LongRun | None:
    """The fine-tuned network, unless the frozen one is better by more than chance.

    Fine-tuning goes on from the frozen network's head: measured over many test images it is the
    better one with few training images, too, where as few validation images can't tell.
    """
    if tuned is None or tuned.score is None:
        return frozen
    before = frozen.score if frozen else None
    return frozen if before and clearly_better(before, tuned.score, images) else tuned


def fine_tuned_model(data: FeatureData, hp: dict[str, Any], weights: list[Any]) -> keras.Model:
    """The whole network with these weights, compiled to be trained on."""
    model = _compiled(data, hp)
    model.set_weights(weights)
    model.optimizer.build(model.trainable_variables)
    return model


def _compiled(data: FeatureData, hp: dict[str, Any]) -> keras.Model:
    model = data.transfer.model(hp["dropout"])
    data.images.problem.compile(model, keras.optimizers.Adam(hp["learning_rate"]))
    return unfreeze(model, learning_rate=hp["learning_rate"])


def _seconds_for(context: Context, data: FeatureData) -> float | None:
    """Of the time that is left, what fine-tuning may take."""
    if context.clock.left is None:
        return None
    left = context.clock.left - data.seconds_per_image * len(data.dataset.test)
    return (1 - TIME_KEPT) * max(1.0, left)


def _length(context: Context, data: FeatureData, batch_size: int) -> tuple[Length | None, float]:
    """How long to fine-tune, None where it is not worth beginning; and seconds of an epoch."""
    forward = data.seconds_per_image
    epoch = forward * (BACKWARD * data.train_images + data.val_images)
    least, most = PASSES[context.settings.budget]
    allowed = _seconds_for(context, data)
    if allowed is None:
        allowed = SECONDS[context.settings.budget]
    else:
        most = 10_000
    passes = min(most, allowed / max(epoch, 1e-6))
    per_pass = max(1, data.train_images // batch_size)
    if passes < least and (data.transfer.regime.name != "fine_tune" or passes * per_pass < 50):
        return None, epoch
    return length_of(int(passes * per_pass), per_pass, least=1, most=most), epoch
