"""One training as the searches run it: diverging stops it, the score is on validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kcnn.callbacks import read_curves

__all__ = ["BestWeights", "Settings", "is_better", "last_scores"]


@dataclass(frozen=True)
class Settings:
    """What the searches vary."""

    lr: float
    weight_decay: float
    batch_size: int
    width: float

    def to_dict(self) -> dict[str, Any]:
        """The four numbers by name."""
        return {
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "batch_size": self.batch_size,
            "width": self.width,
        }


def is_better(
    logs: dict[str, float], than: dict[str, float] | None, *, images: int | None = None
) -> bool:
    """Higher validation accuracy; where it is as good as equal, the lower validation loss.

    As good as equal: within one standard error of an accuracy over so many validation images
    (the rule of Breiman et al. 1984, section 3.4.3). On few images the luckiest epoch is
    otherwise taken for the best one. Without `images`: exactly equal.
    """
    if not math.isfinite(logs["val_loss"]):
        return False
    if than is None:
        return True
    gain = logs["val_accuracy"] - than["val_accuracy"]
    noise = _standard_error(than["val_accuracy"], images) if images else 0.0
    return gain > noise + 1e-6 or (gain > -noise - 1e-6 and logs["val_loss"] < than["val_loss"])


def _standard_error(accuracy: float, images: int) -> float:
    """Of a share of `images`; one more right and one more wrong keep it above zero."""
    share = (accuracy * images + 1) / (images + 2)
    return math.sqrt(share * (1 - share) / images)


def last_scores(history: dict[str, list[float]]) -> dict[str, float | None]:
    """The last epoch's losses and validation accuracy; None where there was no whole epoch."""

    def last(key: str) -> float | None:
        values = history.get(key)
        return values[-1] if values else None

    return {
        "train_loss": last("loss"),
        "val_loss": last("val_loss"),
        "val_accuracy": last("val_accuracy"),
    }


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the best validation score in memory.

    Epoch `last`, where the rate has come down to zero, is taken over one that was better by no
    more than chance, unless the validation loss has turned up: among so many epochs on few
    images the best one is the luckiest.

    Args:
        images: Validation images behind the scores.
        last: The last epoch (from 1) of a schedule that ends at zero, if it is one.
    """

    def __init__(self, images: int | None = None, *, last: int | None = None):
        super().__init__()
        self.images = images
        self.last = last
        self.weights: list[np.ndarray] | None = None
        self.logs: dict[str, float] | None = None
        self.epoch: int | None = None
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch, logs=None):
        if not logs:
            return
        for key in ("loss", "val_loss"):
            self.history.setdefault(key, []).append(float(logs[key]))
        ended = epoch + 1 == self.last and self._as_good(logs)
        if ended or is_better(logs, self.logs, images=self.images):
            self.logs, self.epoch = dict(logs), epoch + 1
            self.weights = self.model.get_weights()

    def _as_good(self, logs: dict[str, float]) -> bool:
        if self.logs is None or not math.isfinite(logs["val_loss"]):
            return False
        best = self.logs["val_accuracy"]
        noise = _standard_error(best, self.images) if self.images else 0.0
        close = logs["val_accuracy"] > best - noise - 1e-6
        return close and read_curves(self.history).onset_epoch is None
