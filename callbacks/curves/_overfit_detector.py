"""Watch for overfitting while training goes on."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves._read import CurveReading, read_curves
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import AbortGuard, copies, finished, put_back, sync

__all__ = ["OverfitDetector"]


class OverfitDetector(keras.callbacks.Callback):
    """Tell when the validation loss has turned for good, from which epoch, and what to do.

    Reads the curves with `read_curves` after every epoch, so that noise alone does not set
    it off. Each verdict that needs action is told once, when it is first sure; the whole
    reading comes at the end of training. With `validation_freq` above 1 it reads the epochs
    that were validated.

    Args:
        restore_best_weights: Put back the weights of the epoch with the lowest validation
            loss at the end; also when `fit` is interrupted or another callback raises.
        patience: Stop training when the onset of overfitting lies that many epochs back.
            None never stops.
        sink: Called with every finding.

    Attributes:
        reading: `CurveReading` of the epochs so far, or None.
        onset_epoch: The onset (from 1), or None.
        best_epoch: Epoch (from 1) of the lowest validation loss, or None.
        stopped_epoch: Epoch after which it stopped training, or None.

    >>> detector = OverfitDetector(patience=10, sink=None)
    >>> history = model.fit(x, y, validation_split=0.2, verbose=0, callbacks=[detector])
    """

    def __init__(
        self,
        *,
        restore_best_weights: bool = False,
        patience: int | None = None,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if patience is not None and patience < 1:
            raise ValueError(f"OverfitDetector: patience must be 1 or more; received {patience}.")
        self.restore_best_weights = restore_best_weights
        self.patience = patience
        self.sink = sink
        self._forget()

    def _forget(self) -> None:
        self.history: dict[str, list[float]] = {}  # of the epochs that were read
        self._epochs: list[int] = []  # their numbers, from 1
        self._watched = "loss"
        self._lowest = np.inf
        self.reading: CurveReading | None = None
        self.onset_epoch: int | None = None
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._best: list[tuple[Any, Any]] = []
        self._told: set[str] = set()
        self._guard: AbortGuard | None = None

    def on_train_begin(self, logs=None):
        self._forget()
        if self.restore_best_weights:
            self._guard = AbortGuard(self.model, self._restore)

    def on_test_begin(self, logs=None):
        if self._guard is not None:
            self._guard.watch_validation()

    def on_epoch_end(self, epoch, logs=None):
        if not logs or "loss" not in logs:
            return
        validated = "val_loss" in logs
        if validated and self._watched == "loss":  # epochs without validation came before
            self._watched, self._lowest = "val_loss", np.inf
            self.history, self._epochs = {}, []
        if self._watched == "val_loss" and not validated:
            return
        count = len(self._epochs)
        self._epochs.append(epoch + 1)
        for name, value in logs.items():
            curve = self.history.setdefault(name, [])
            if len(curve) == count and np.ndim(value) == 0:
                curve.append(float(value))
        self._keep_best(epoch + 1)
        complete = {k: v for k, v in self.history.items() if len(v) == count + 1}
        self.reading = read_curves(complete, epochs=self._epochs)
        self.onset_epoch = self.reading.onset_epoch
        for finding in self.reading.findings:
            if finding.check in ("overfitting", "unstable"):
                self._tell(finding)
        if (
            self.patience is not None
            and self.onset_epoch is not None
            and epoch + 1 - self.onset_epoch >= self.patience
        ):
            self.stopped_epoch = epoch + 1
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._guard is not None:
            self._guard.release()
        if self.reading is not None:
            self._take_back(self.reading)
            for finding in self.reading.findings:
                self._tell(finding)
        if self.restore_best_weights:
            self._restore()

    def _tell(self, finding: Finding) -> None:
        if finding.check in self._told:
            return
        self._told.add(finding.check)
        tell([finding.now(epoch=self._epochs[-1])], self.sink)

    def _take_back(self, reading: CurveReading) -> None:
        """Say so where overfitting was told and the curves no longer show it."""
        if "overfitting" not in self._told or reading.onset_epoch is not None:
            return
        seen = "the rise of the validation loss told earlier did not last"
        back = Finding("overfitting", "note", seen, "", evidence={"gap": reading.gap})
        tell([back.now(epoch=self._epochs[-1])], self.sink)

    def _keep_best(self, epoch: int) -> None:
        value = self.history[self._watched][-1]
        if not np.isfinite(value) or value > self._lowest:
            return
        self._lowest, self.best_epoch = value, epoch
        if self.restore_best_weights:
            sync(self.model)
            self._best = copies(self.model.weights)

    def _restore(self) -> None:
        if self._best:
            sync(self.model)
            finished(lambda: put_back(self._best))
