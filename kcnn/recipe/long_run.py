"""One longer training, with warmup and cosine decay, that can be cut off after any epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from kcnn.recipe.checkpoint import BestWeights, Checkpoint
from kcnn.recipe.clock import Clock
from kcnn.recipe.display import Display
from kcnn.recipe.files import read_json, write_json
from kcnn.recipe.logs import EpochLog
from kcnn.recipe.results import read_result
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.training import Length, Score, fit, is_better, standard_error
from kcnn.recipe.training_data import TrainingData

__all__ = ["LongRun", "best_of", "planned", "run_folder", "train_long"]


FREE = 4  # times the epochs that were expected, where the clock ends a training


@dataclass(frozen=True)
class LongRun:
    """One longer training: its settings, curves and best epoch (from 1).

    `regime` is "frozen" or "fine-tuned" where there is a pretrained backbone.
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


def planned(folder: Path, plan: Length | None) -> Length | None:
    """The length that an earlier sitting had planned, or `plan`, which is written down."""
    file = folder / "length.json"
    before = read_json(file)
    if before is not None:
        return read_result(Length, before)
    if plan is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(plan))
    return plan


def train_long(
    model: keras.Model,
    data: TrainingData,
    hp: dict[str, Any],
    length: Length,
    *,
    folder: Path,
    purpose: str,
    title: str,
    display: Display,
    logs: Path | None = None,
    regime: str = "",
    seconds: float | None = None,
) -> LongRun:
    """Train from the last whole epoch in `folder` on; each epoch ends with a checkpoint.

    With `seconds` the schedule ends with them, and `length` is about what they allow.
    """
    began = Clock.now()
    total = _kept_seconds(folder, seconds)
    best = BestWeights(data.val_images, last=lambda epoch: epoch == length.epochs or schedule.ended)
    checkpoint = Checkpoint(folder, best)
    start = checkpoint.restore(model)
    log = EpochLog(logs, purpose.replace(" ", "-"), best.history)
    schedule = WarmupCosine(
        hp["learning_rate"],
        total=length.total,
        start=start * length.updates,
        seconds=seconds,
        done=1 - seconds / total if seconds and total else 0.0,
    )
    with display.progress(f"{title}, {length.epochs} epochs", length.epochs) as bar:
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


def _kept_seconds(folder: Path, seconds: float | None) -> float | None:
    """What an earlier sitting began with, of which `seconds` are left."""
    if seconds is None:
        return None
    file = folder / "seconds.json"
    if read_json(file) is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, seconds)
    return max(seconds, float(read_json(file)))


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
