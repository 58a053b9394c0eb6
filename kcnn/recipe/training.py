"""One training as the searches run it: diverging stops it, the score is on validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

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


def is_better(logs: dict[str, float], than: dict[str, float] | None) -> bool:
    """Higher validation accuracy, at equal accuracy the lower validation loss."""
    if not math.isfinite(logs["val_loss"]):
        return False
    return than is None or _score(logs) > _score(than)


def _score(logs: dict[str, float]) -> tuple[float, float]:
    return (round(logs["val_accuracy"], 6), -logs["val_loss"])


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
    """Keeps the weights of the epoch with the best validation score in memory."""

    def __init__(self):
        super().__init__()
        self.weights: list[np.ndarray] | None = None
        self.logs: dict[str, float] | None = None
        self.epoch: int | None = None

    def on_epoch_end(self, epoch, logs=None):
        if logs and is_better(logs, self.logs):
            self.logs, self.epoch = dict(logs), epoch + 1
            self.weights = self.model.get_weights()
