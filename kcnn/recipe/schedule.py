"""Warmup and cosine decay, set batch by batch from outside the compiled step."""

import math

import keras

from kcnn.recipe.clock import Clock

__all__ = ["WarmupCosine", "warmup_cosine"]

WARMUP_SHARE = 0.05  # of a training


def warmup_cosine(step: float, *, peak: float, total: int, warmup: int) -> float:
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
    It ends after `total` updates, or with `seconds` by the clock: then the rate has come down to
    zero just where the time ends, whatever the machine does meanwhile.

    Args:
        peak: highest rate.
        total: updates; with seconds about so many.
        start: updates that were done before.
        seconds: from the second batch on, for the first one traces; ends the training.
        done: share of the schedule that was over before, where there are seconds.
    """

    def __init__(
        self,
        peak: float,
        *,
        total: int,
        start: int = 0,
        seconds: float | None = None,
        done: float = 0.0,
    ):
        super().__init__()
        self.peak, self.total, self.step = peak, total, start
        self.seconds, self.done = seconds, done
        self.rate = 0.0
        self._batches = 0
        self._began = 0.0

    @property
    def progress(self) -> float:
        """The share of the schedule that is over."""
        if self.seconds is None:
            return self.step / self.total
        if self._batches < 2:
            return self.done
        share = (Clock.now() - self._began) / max(self.seconds, 1e-9)
        return min(1.0, self.done + (1 - self.done) * share)

    @property
    def ended(self) -> bool:
        """Whether the rate has come down to zero."""
        return self.progress >= 1

    def on_train_batch_begin(self, batch, logs=None):
        if self._batches == 1:
            self._began = Clock.now()
        self._batches += 1
        warmup = max(1, round(WARMUP_SHARE * self.total))
        step = self.progress * self.total
        self.rate = warmup_cosine(step, peak=self.peak, total=self.total, warmup=warmup)
        self.model.optimizer.learning_rate.assign(self.rate)
        self.step += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.seconds is not None and self.ended:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = self.rate
