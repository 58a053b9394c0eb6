"""The examined run itself: `fit` under the user's arguments, with a recorder beside it."""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Case
from kcnn.callbacks.doctor._deadline import NEVER, Deadline
from kcnn.callbacks.doctor._trace import Trace
from kcnn.callbacks.keras_internals import array_of
from kcnn.callbacks.state import innermost, sync

__all__ = ["OwnFit", "Run", "run_fit"]


@dataclasses.dataclass
class Run:
    """What the run left behind.

    Args:
        history: Metric name to its value per epoch.
        rates: Learning rate at the end of each epoch.
        steps: Steps done.
        seconds: Wall-clock time of `fit`; `cpu_seconds` of this process's CPU time.
        weights: Values of all variables at the end.
        error: The exception that ended it, or None.
        cut: True when the time was up before the run was.
    """

    history: dict[str, list[float]]
    rates: list[float]
    steps: int
    seconds: float
    weights: list[np.ndarray]
    cpu_seconds: float = 0.0
    error: BaseException | None = None
    cut: bool = False


class Recorder(keras.callbacks.Callback):
    """Logs, rates and steps of a run, which it ends where `until` is over."""

    def __init__(self, until: Deadline = NEVER):
        super().__init__()
        self.until, self.cut = until, False
        self._clock = Deadline()
        self.logs: dict[str, list[float]] = {}
        self.rates: list[float] = []
        self._done = self._batch = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batch = batch + 1  # a step may be one of several of an execution
        if self.until.over:
            self.cut, self.model.stop_training = True, True

    def on_epoch_end(self, epoch, logs=None):
        self._done, self._batch = self._done + self._batch, 0
        for name, value in (logs or {}).items():
            self.logs.setdefault(name, []).append(float(np.mean(value)))
        inner = innermost(self.model.optimizer)[-1]
        self.rates.append(float(array_of(inner.learning_rate)))

    def run(self, model: keras.Model, error: BaseException | None) -> Run:
        """What the run left behind, now that it is over."""
        seconds, used = self._clock.passed
        sync(model)
        weights = [array_of(v) for v in model.variables]
        steps = self._done + self._batch
        return Run(self.logs, self.rates, steps, seconds, weights, used, error, self.cut)


def run_fit(model: keras.Model, case: Case, *, until: Deadline) -> Run:
    """Train as the user would; exceptions are kept in the answer, not raised."""
    recorder, error = Recorder(until), None
    given = {"verbose": 0, **case.kwargs, "x": case.x, "y": case.y}
    try:
        _with(recorder, model, model.fit, given)
    except BaseException as caught:
        error = caught
    return recorder.run(model, error)


class OwnFit:
    """Does a `fit` of a script once, as written: under its own arguments, callbacks and warnings.

    Args:
        fit: `keras.Model.fit` as Keras has it.
        model: The model it is called on.
        given: Its arguments by name.
    """

    def __init__(self, fit: Callable[..., Any], model: keras.Model, given: dict[str, Any]):
        self.fit, self.model, self.given = functools.partial(fit, model), model, given
        self.run: Run | None = None
        self._warnings = list(warnings.filters)

    def __call__(self, case: Case, trace: Trace) -> Run:
        """The run, on a model as if nobody had looked; its end is left behind."""
        if case.source == "generator":  # begins with the batches that were drawn
            self.given["x"] = case.x
        trace.put_back()
        recorder = Recorder()
        self.error: BaseException | None = None
        with warnings.catch_warnings():
            warnings.filters[:] = self._warnings  # type: ignore[index]
            try:
                self.history = _with(recorder, self.model, self.fit, self.given)
            except BaseException as error:
                self.error = error
        trace.end_here()
        self.run = recorder.run(self.model, self.error)
        return self.run

    def result(self, *, stop: bool) -> Any:
        """What `fit` gives; where it was not run yet it is now, ended early with `stop`."""
        if self.run is None:
            given = self.model, self.fit, self.given
            return _with(_Stop(), *given) if stop else self.fit(**self.given)
        if self.error is not None:
            raise self.error
        return self.history


class _Stop(keras.callbacks.Callback):
    """Ends a run that is known to fail."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


def _with(
    callback: keras.callbacks.Callback, model: keras.Model, fit: Any, given: dict[str, Any]
) -> Any:
    """`fit` with one more callback behind those that are given."""
    own = given.get("callbacks")
    if isinstance(own, keras.callbacks.CallbackList):
        own.append(callback)
        callback.set_model(model)
        try:
            return fit(**given)
        finally:
            own.callbacks.remove(callback)
    listed = list(own) if isinstance(own, (list, tuple)) else [own]
    listed = [one for one in listed if one is not None]
    return fit(**{**given, "callbacks": [*listed, callback]})
