"""One longer training, with warmup and cosine decay, that can be cut off after any epoch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from kcnn.recipe.checkpoint import BestWeights, Checkpoint
from kcnn.recipe.clock import Clock
from kcnn.recipe.context import Context
from kcnn.recipe.files import read_json, write_json
from kcnn.recipe.logs import EpochLog
from kcnn.recipe.results import read_result
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.training import Length, Score, fit, is_better, length_of, standard_error
from kcnn.recipe.training_data import TrainingData
from kcnn.recipe.transfer import FeatureData

__all__ = [
    "FINE_TUNED", "FROZEN", "LongRun", "best_of", "planned", "refine_length", "run_folder",
    "seconds_per_update", "train_long", "trained",
]  # fmt: skip

TIME_KEPT = 0.1  # of the time left at most, for scoring, export and the page
FINISH = 15.0  # seconds that these take apart from the test images
HEAD_SHARE = 0.25  # of the time, for heads on a frozen backbone's features
FROZEN, FINE_TUNED = "frozen", "fine-tuned"  # regimes of a pretrained backbone
FREE = 4  # times the epochs that were expected, where the clock ends a training


@dataclass(frozen=True)
class LongRun:
    """One longer training: its settings, curves and best epoch (from 1).

    `regime` is `FROZEN` or `FINE_TUNED` where there is a pretrained backbone.
    """

    hp: dict[str, Any]
    epochs: int
    updates: int
    history: dict[str, tuple[float | None, ...]]
    best_epoch: int | None
    val_accuracy: float | None
    val_loss: float | None
    regime: str = ""
    seconds: float = 0.0

    @property
    def score(self) -> Score | None:
        """Of the best epoch; None where all diverged."""
        return None if self.val_loss is None else Score(self.val_loss, self.val_accuracy)


def run_folder(state: Path, index: int) -> Path:
    """Where longer training number `index` keeps what it goes on from."""
    return state / f"refine-{index}"


def refine_length(context: Context, batch_size: int) -> Length:
    """How long a run trains: the budget's updates, or what the time allows."""
    least, most = context.budget.refine_epochs
    updates = context.budget.refine_updates
    speed = seconds_per_update(context)
    seconds = _seconds_for(context)
    if seconds is not None and speed:
        allowed = max(10, round(seconds / speed))
        if isinstance(context.data, FeatureData):  # heads are quick; the rest is fine-tuning's
            updates = min(updates, round(HEAD_SHARE * allowed) + 10)
        else:
            updates, least, most = allowed, 1, 10_000
    per_pass = context.updates_per_pass(batch_size)
    return length_of(updates, per_pass, least=least, most=most, looks=10)


def _seconds_for(context: Context) -> float | None:
    """Of the time that is left, what the longer training may take."""
    left = context.clock.left
    return None if left is None else max(1.0, left - min(TIME_KEPT * left, FINISH))


def seconds_per_update(context: Context) -> float | None:
    """Of the best trial, validation included; else of the sweep."""
    search, rates = context.results.get("search"), context.results.get("learning_rates")
    best = search.best_trial if search else None
    if best is not None and best.updates and best.seconds:
        return best.seconds / best.updates
    return rates.seconds_per_update if rates else None


def planned(folder: Path, plan: Length | None) -> Length | None:
    """The length that an earlier sitting had planned, or `plan`, which is written down."""
    kept = _kept(folder / "length.json", None if plan is None else asdict(plan))
    return None if kept is None else read_result(Length, kept)


def trained(context: Context, index: int, hp: dict[str, Any], count: int) -> LongRun:
    """Longer training number `index`, or what it gave in an earlier sitting."""
    folder = run_folder(context.state, index)
    row = Checkpoint.row(folder)
    if row is not None:
        return read_result(LongRun, row)
    length = planned(folder, refine_length(context, int(hp["batch_size"])))
    assert length is not None
    frozen = isinstance(context.data, FeatureData)
    return train_long(
        context,
        index,
        context.models.fresh(hp),
        hp,
        length,
        data=context.data,
        title=f"refining, run {index + 1} of {count}",
        regime=FROZEN if frozen else "",
        seconds=None if frozen else _seconds_for(context),
    )


def train_long(
    context: Context,
    index: int,
    model: keras.Model,
    hp: dict[str, Any],
    length: Length,
    *,
    data: TrainingData,
    title: str,
    regime: str = "",
    seconds: float | None = None,
) -> LongRun:
    """Train from the last whole epoch of this index on; each epoch ends with a checkpoint.

    With `seconds` the schedule ends with them, and `length` is about what they allow.
    """
    began, folder = Clock.now(), run_folder(context.state, index)
    purpose = f"refine {index}" if regime != FINE_TUNED else FINE_TUNED
    total = max(seconds, _kept(folder / "seconds.json", seconds)) if seconds else 0.0
    best = BestWeights(data.val_images, last=lambda epoch: epoch == length.epochs or schedule.ended)
    checkpoint = Checkpoint(folder, best)
    start = checkpoint.restore(model)
    log = EpochLog(context.logs, purpose.replace(" ", "-"), best.history)
    schedule = WarmupCosine(
        hp["learning_rate"],
        total=length.total,
        start=start * length.updates,
        seconds=seconds,
        done=1 - seconds / total if seconds else 0.0,
    )
    named = f"{title}, epochs" if seconds else f"{title}, {length.epochs} epochs"
    with context.display.progress(named, None if seconds else length.epochs) as bar:
        bar.show(start)
        if start < length.epochs:
            fit(
                model,
                data,
                int(hp["batch_size"]),
                replace(length, epochs=FREE * length.epochs) if seconds else length,
                purpose=purpose,
                start=start,
                callbacks=[schedule, best, checkpoint, log, bar.per_epoch()],
            )
    epochs = len(best.history.get("loss", ()))
    row = LongRun(
        hp,
        epochs if seconds else length.epochs,
        epochs * length.updates if seconds else length.total,
        {key: tuple(values) for key, values in best.history.items()},
        best.epoch,
        best.score.accuracy if best.score else None,
        best.score.loss if best.score else None,
        regime,
        round(Clock.now() - began, 2),
    )
    checkpoint.done(asdict(row))
    return read_result(LongRun, Checkpoint.row(folder))


def _kept(file: Path, value: Any) -> Any:
    """What the file holds, or `value`, which is written there unless it is None."""
    before = read_json(file)
    if before is None and value is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, value)
    return value if before is None else before


def best_of(runs: Sequence[LongRun], images: int | None) -> LongRun | None:
    """The best run; of those as good as equal, one whose schedule came to its end.

    An epoch in the middle that scores like a whole run does so by luck: on a few images the loss
    of one epoch says little, while a rate that came down to zero is what the run was for.
    """

    def pick(among: Sequence[LongRun]) -> LongRun | None:
        best: LongRun | None = None
        for run in among:
            if run.score and is_better(run.score, best.score if best else None, images=images):
                best = run
        return best

    best, ended = pick(runs), pick([run for run in runs if run.best_epoch == run.epochs])
    if best is None or ended is None or best.score is None or ended.score is None:
        return best
    if best.score.accuracy is None or ended.score.accuracy is None:
        return best
    close = best.score.accuracy - ended.score.accuracy
    return ended if close <= standard_error(best.score.accuracy, images) + 1e-6 else best
