"""Warmup and cosine decay, set batch by batch from outside the compiled step."""

from __future__ import annotations

import math

import keras

__all__ = ["WarmupCosine", "warmup_cosine"]


def warmup_cosine(step: int, *, peak: float, total: int, warmup: int) -> float:
    """The rate of update `step` (from 0): linear to `peak`, then half a cosine to zero.

    Loshchilov & Hutter, arXiv:1608.03983, eq. 5 without restarts; warmup as in Goyal et al.,
    arXiv:1706.02677, section 2.2.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * peak * (1 + math.cos(math.pi * min(1.0, progress)))


class WarmupCosine(keras.callbacks.Callback):
    """Sets the learning rate before each batch and logs it as "learning_rate" per epoch.

    Works on a compiled step that is already traced, where a schedule object would need a new one.
    """

    def __init__(self, peak: float, *, total: int, warmup: int, start: int = 0):
        super().__init__()
        self.peak, self.total, self.warmup, self.step = peak, total, warmup, start

    def on_train_batch_begin(self, batch, logs=None):
        rate = warmup_cosine(self.step, peak=self.peak, total=self.total, warmup=self.warmup)
        self.model.optimizer.learning_rate.assign(rate)
        self.step += 1

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
