"""The script's own `fit` is the run that is examined: done once, as written."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks.data import Case
from kcnn.callbacks.doctor._run import Recorder, Run
from kcnn.callbacks.doctor._trace import Trace

__all__ = ["OwnFit"]


class OwnFit:
    """Does a `fit` of the script under its own arguments, callbacks and warnings.

    Args:
        fit: `keras.Model.fit` as Keras has it.
        model: The model it is called on.
        given: Its arguments by name.
    """

    def __init__(self, fit: Callable[..., Any], model: keras.Model, given: dict[str, Any]):
        self.fit, self.model, self.given = fit, model, given
        self.run: Run | None = None
        self._warnings = list(warnings.filters)

    def __call__(self, case: Case, trace: Trace) -> Run:
        """The run, on a model as if nobody had looked; its end is left behind."""
        if case.source == "generator":  # begins with the batches that were drawn
            self.given["x"] = case.x
        trace.put_back()
        recorder, begin = Recorder(), time.perf_counter()
        self.error: BaseException | None = None
        with warnings.catch_warnings():
            warnings.filters[:] = self._warnings  # type: ignore[index]
            try:
                self.history = self._with(recorder)
            except BaseException as error:
                self.error = error
        seconds = time.perf_counter() - begin
        trace.end_here()
        self.run = recorder.run(self.model, seconds, self.error)
        return self.run

    def result(self, *, stop: bool) -> Any:
        """What `fit` gives; where it was not run yet it is now, ended early with `stop`."""
        if self.run is None:
            return self._with(_Stop()) if stop else self.fit(self.model, **self.given)
        if self.error is not None:
            raise self.error
        return self.history

    def _with(self, callback: keras.callbacks.Callback) -> Any:
        """`fit` with one more callback behind the script's own."""
        callbacks = self.given.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(callback)
            callback.set_model(self.model)
            try:
                return self.fit(self.model, **self.given)
            finally:
                callbacks.callbacks.remove(callback)
        listed = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        listed = [one for one in listed if one is not None]
        return self.fit(self.model, **{**self.given, "callbacks": [*listed, callback]})


class _Stop(keras.callbacks.Callback):
    """Ends a run that is known to fail."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True
