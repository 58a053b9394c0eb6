"""Short trainings from one saved state, at a learning rate each, that leave no trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks.data import Feed, inputs_of
from kcnn.callbacks.state._optimizer import RateControl
from kcnn.callbacks.state._snapshot import (
    Snapshot,
    copies,
    put_back,
    require_compiled,
    state_variables,
    sync,
)
from kcnn.callbacks.state._torch_random import torch_randoms

__all__ = ["ShortTraining"]


class ShortTraining:
    """Context in which a model can be trained for a few steps and put back.

    Inside: `losses(rate, start, stop)` trains on the feed's batches at one rate and gives
    each batch's own loss; `rewind()` goes back to the start. On leaving, however it is
    left, model and optimizer are bit-identical to before.

    Args:
        model: Compiled model; built on the first batch if it is not.
        feed: The batches.
        weight_decay: Weight decay while probing; None keeps the model's.
    """

    def __init__(self, model: keras.Model, feed: Feed, *, weight_decay: float | None = None):
        require_compiled(model, "ShortTraining")
        self.model = model
        self.feed = feed
        self.weight_decay = weight_decay

    def __enter__(self) -> ShortTraining:
        model = self.model
        if not model.built:
            model(inputs_of(next(self.feed.batches(1))), training=False)
        self._history = getattr(model, "history", None)
        self._start = Snapshot(model)
        self._control = RateControl(model, weight_decay=self.weight_decay)
        try:
            self._control.hold()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._control.release()
        finally:
            self._start.restore()
            self.model.history = self._history

    def rewind(self) -> None:
        """Back to the state at the start."""
        self._start.rewind()

    def save(self) -> list[tuple[Any, Any]]:
        """A copy of the present state, for `load`."""
        sync(self.model)
        return copies(state_variables(self.model))

    def load(self, saved: list[tuple[Any, Any]]) -> None:
        """Go on from a saved state."""
        sync(self.model)
        put_back(saved)

    def losses(
        self,
        rate: float,
        start: int,
        stop: int,
        *,
        on_iteration: Callable[[int, float], Any] | None = None,
        enough: Callable[[float], bool] | None = None,
    ) -> list[float]:
        """Train on batches `start` to `stop` at `rate`; each batch's own loss.

        Ends early at a loss that is not finite (it is the last of the list) or for which
        `enough(loss)` is true. With `steps_per_execution` n > 1 every n batches share
        their mean.
        """
        self._control.set(rate)
        listener = _Listener(on_iteration, enough, copies(torch_randoms()))
        self.model.fit(**self.feed.part(start, stop), verbose=0, callbacks=[listener])
        return listener.losses


class _Listener(keras.callbacks.Callback):
    def __init__(self, on_iteration, enough, drawn):
        super().__init__()
        self.losses: list[float] = []
        self.on_iteration = on_iteration
        self.enough = enough
        self.drawn = drawn

    def on_train_begin(self, logs=None):
        put_back(self.drawn)  # a first `fit` has drawn once more than the next ones will

    def on_train_batch_begin(self, batch, logs=None):
        sync(self.model)
        self.model.reset_metrics()  # `logs["loss"]` is then this batch's own, no running mean

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", math.nan))
        for _ in range(batch + 1 - len(self.losses)):  # more than one with steps_per_execution
            self.losses.append(loss)
            if self.on_iteration is not None:
                self.on_iteration(len(self.losses) - 1, loss)
        if not math.isfinite(loss) or (self.enough is not None and self.enough(loss)):
            self.model.stop_training = True
