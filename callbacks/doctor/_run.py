"""The examined run itself: `fit` under the user's arguments, with a recorder beside it."""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np

from kcnn.callbacks.data import Case
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.state import innermost, sync

__all__ = ["Recorder", "Run", "run_fit"]


@dataclasses.dataclass
class Run:
    """What the run left behind.

    Args:
        history: Metric name to its value per epoch.
        rates: Learning rate at the end of each epoch.
        steps: Steps done.
        seconds: Wall-clock time of `fit`.
        weights: Values of all variables at the end.
        error: The exception that ended it, or None.
        cut: True when the time was up before the run was.
    """

    history: dict[str, list[float]]
    rates: list[float]
    steps: int
    seconds: float
    weights: list[np.ndarray]
    error: BaseException | None = None
    cut: bool = False


class Recorder(keras.callbacks.Callback):
    """Logs, rates and steps of a run, which it ends at the clock time `until`."""

    def __init__(self, until: float = np.inf):
        super().__init__()
        self.until, self.cut = until, False
        self.logs: dict[str, list[float]] = {}
        self.rates: list[float] = []
        self._done = self._batch = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batch = batch + 1  # a step may be one of several of an execution
        if time.perf_counter() > self.until:
            self.cut, self.model.stop_training = True, True

    def on_epoch_end(self, epoch, logs=None):
        self._done, self._batch = self._done + self._batch, 0
        for name, value in (logs or {}).items():
            self.logs.setdefault(name, []).append(float(np.mean(value)))
        inner = innermost(self.model.optimizer)[-1]
        self.rates.append(float(array_of(inner.learning_rate)))

    def run(self, model: keras.Model, seconds: float, error: BaseException | None) -> Run:
        """What the run left behind, now that it is over."""
        sync(model)
        weights = [array_of(v) for v in model.variables]
        steps = self._done + self._batch
        return Run(self.logs, self.rates, steps, seconds, weights, error, self.cut)


def run_fit(model: keras.Model, case: Case, *, until: float) -> Run:
    """Train as the user would; exceptions are kept in the answer, not raised."""
    recorder = Recorder(until)
    kwargs = {"verbose": 0, **case.kwargs}
    given = kwargs.pop("callbacks", None)
    if isinstance(given, keras.callbacks.CallbackList):
        given = given.callbacks
    given = [given] if isinstance(given, keras.callbacks.Callback) else list(given or [])
    begin, error = time.perf_counter(), None
    try:
        model.fit(case.x, case.y, callbacks=given + [recorder], **kwargs)
    except BaseException as caught:
        error = caught
    return recorder.run(model, time.perf_counter() - begin, error)
