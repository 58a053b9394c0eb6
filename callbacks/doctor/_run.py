"""The examined run itself: `fit` under the user's arguments, with a recorder beside it."""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np

from kcnn.callbacks.data import Case
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.state import innermost

__all__ = ["Run", "run_fit"]


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


class _Recorder(keras.callbacks.Callback):
    def __init__(self, until: float):
        super().__init__()
        self.until, self.cut = until, False
        self.logs: dict[str, list[float]] = {}
        self.rates: list[float] = []
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if time.perf_counter() > self.until:
            self.cut, self.model.stop_training = True, True

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.logs.setdefault(name, []).append(float(np.mean(value)))
        inner = innermost(self.model.optimizer)[-1]
        self.rates.append(float(array_of(inner.learning_rate)))


def run_fit(model: keras.Model, case: Case, *, until: float) -> Run:
    """Train as the user would; exceptions are kept in the answer, not raised."""
    recorder = _Recorder(until)
    kwargs = dict(case.kwargs)
    given = kwargs.pop("callbacks", None)
    if isinstance(given, keras.callbacks.CallbackList):
        given = given.callbacks
    given = [given] if isinstance(given, keras.callbacks.Callback) else list(given or [])
    kwargs.setdefault("verbose", 0)
    begin, error = time.perf_counter(), None
    try:
        model.fit(case.x, case.y, callbacks=given + [recorder], **kwargs)
    except BaseException as caught:
        error = caught
    return Run(
        recorder.logs,
        recorder.rates,
        recorder.steps * max(1, getattr(model, "steps_per_execution", 1) or 1),
        time.perf_counter() - begin,
        [array_of(v) for v in model.variables],
        error,
        recorder.cut,
    )
