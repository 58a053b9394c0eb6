"""The best weights so far, and what a training leaves after each epoch to be resumed from."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.callbacks import read_curves
from kcnn.recipe.files import read_arrays, read_json, write_arrays, write_json
from kcnn.recipe.training import Score, clearly_better, is_better, loss_rose

__all__ = ["BestWeights", "Checkpoint"]


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the best validation score in memory.

    Epoch `last`, where the rate has come down to zero, is taken over one that was better by no
    more than chance or had a higher loss, unless the validation loss has turned up by more than
    that: among so many epochs on few images the best one is the luckiest.

    Args:
        images: Validation images behind the scores.
        last: The last epoch (from 1) of a schedule that ends at zero, if it is one; or a
            function that says of an epoch whether it is the last.
    """

    def __init__(
        self, images: int | None = None, *, last: int | Callable[[int], bool] | None = None
    ):
        super().__init__()
        self.images = images
        self.is_last = last if callable(last) else lambda epoch: epoch == last
        self.weights: list[np.ndarray] | None = None
        self.score: Score | None = None
        self.epoch: int | None = None
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch, logs=None):
        if not logs:
            return
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        score = Score.of(logs)
        ended = self.is_last(epoch + 1) and self._as_good(score)
        if ended or is_better(score, self.score, images=self.images):
            self.score, self.epoch = score, epoch + 1
            self.weights = self.model.get_weights()

    def _as_good(self, score: Score) -> bool:
        if self.score is None or not math.isfinite(score.loss):
            return False
        if score.accuracy is None or self.score.accuracy is None:
            return False
        if score.loss <= self.score.loss:
            return True
        if clearly_better(self.score, score, self.images):
            return False
        losses = {key: self.history[key] for key in ("loss", "val_loss")}
        turned_up = read_curves(losses).onset_epoch is not None
        return not (turned_up and loss_rose(self.score.loss, score.loss, self.images))


class Checkpoint(keras.callbacks.Callback):
    """Writes weights, optimizer state, history and best weights to a folder after each epoch.

    The best weights of epoch n are in a file of that name, written before the state that speaks
    of it and removed after a state that does not: a kill at any moment leaves a state whose
    files are all there. Place it after the callbacks that add to the epoch's logs, `BestWeights`
    among them.
    """

    def __init__(self, folder: Path, best: BestWeights):
        super().__init__()
        self.folder = folder
        self.best = best
        self._written: int | None = None  # epoch of the best weights on disk

    def restore(self, model: keras.Model) -> int:
        """Put the last whole epoch back into the model; the number of epochs already done."""
        state = self.folder / "epoch.npz"
        if not state.exists():
            return 0
        stored = read_arrays(state)
        progress = json.loads(str(stored["progress"]))
        for variable, value in zip(_variables(model), _numbered(stored), strict=True):
            variable.assign(value)
        best = self.best
        best.history, best.epoch = progress["history"], progress["best_epoch"]
        if best.epoch is not None:
            best.score = Score(*progress["best_score"])
            best.weights = _numbered(read_arrays(_best(self.folder, best.epoch)))
            self._written = best.epoch
        return progress["epochs"]

    def on_epoch_end(self, epoch, logs=None):
        best = self.best
        self.folder.mkdir(parents=True, exist_ok=True)
        if best.weights is not None and best.epoch != self._written:
            write_arrays(_best(self.folder, best.epoch), _arrays(best.weights))
        score = best.score
        progress = {
            "epochs": epoch + 1,
            "history": best.history,
            "best_epoch": best.epoch,
            "best_score": None if score is None else [score.loss, score.accuracy],
        }
        state = _arrays([np.asarray(v) for v in _variables(self.model)])
        write_arrays(
            self.folder / "epoch.npz", {**state, "progress": np.array(json.dumps(progress))}
        )
        if self._written is not None and self._written != best.epoch:
            _best(self.folder, self._written).unlink(missing_ok=True)
        self._written = best.epoch

    def done(self, row: dict[str, Any]) -> None:
        """Mark this training as finished with its row of the result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "row.json", row)
        (self.folder / "epoch.npz").unlink(missing_ok=True)

    @staticmethod
    def row(folder: Path) -> dict[str, Any] | None:
        """The row of a training that has finished, or None."""
        return read_json(folder / "row.json")

    @staticmethod
    def best_weights(folder: Path, epoch: int) -> list[np.ndarray]:
        """The weights of the best epoch, in the order of `model.get_weights()`."""
        return _numbered(read_arrays(_best(folder, epoch)))


def _best(folder: Path, epoch: int | None) -> Path:
    return folder / f"best-{epoch}.npz"


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _arrays(values: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"v{i}": value for i, value in enumerate(values)}


def _numbered(stored: dict[str, np.ndarray]) -> list[np.ndarray]:
    count = sum(key[0] == "v" and key[1:].isdigit() for key in stored)
    return [stored[f"v{i}"] for i in range(count)]
