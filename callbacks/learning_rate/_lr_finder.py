"""The classic range test: the learning rate rises at every step of a hidden training."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.data import inputs_of
from kcnn.callbacks.keras_internals import set_step_function, step_function
from kcnn.callbacks.learning_rate._range_judge import RangeResult, judge_range
from kcnn.callbacks.learning_rate._usual_rate import usual_rate
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import (
    AbortGuard,
    HiddenSteps,
    Snapshot,
    batches_per_update,
    require_compiled,
    steps_per_update,
)

__all__ = ["LRFinder"]

LOOK = 5  # steps after which the weights are looked at again, while the rate is harmless:
HARMLESS = 0.01  # of the usual one: what makes loss or weights NaN there is no step too large


class LRFinder(keras.callbacks.Callback):
    """Range test in plain `model.fit`: `model.fit(x, y, callbacks=[LRFinder()])`.

    The rate rises exponentially from `min_lr` to `max_lr`, one step a batch. The training
    happens on a hidden copy: between batches, and whatever other callbacks do or raise,
    the model holds the values it had. When the test is through it stops the fit; the fit's
    own epochs, history and progress bar mean nothing then. Afterwards weights, optimizer,
    learning rate or schedule, metrics, seeds and `stop_training` are bit-identical to before.

    Losses are those of single batches (with `steps_per_execution` or gradient accumulation
    of n: one rate for n batches). The test ends early when the loss is NaN, infinite or
    has grown far above the lowest. Data shorter than the test are repeated from memory.
    The suggestion lies between where the loss breaks out and the rate usual with such an
    optimizer, batch size and normalization.

    Args:
        min_lr: First rate.
        max_lr: Last rate.
        iterations: Steps between them, 10 or more.
        sink: Called with every finding.

    Attributes:
        result: `RangeResult`, or None before the test is through.
        suggestion: Its suggestion, or None.
        moved: The largest change of a kernel in the test, as a share of its norm.

    Smith, arXiv:1506.01186.

    >>> finder = LRFinder(iterations=20, sink=None)
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[finder])
    >>> len(finder.result.rates) <= 20
    True
    """

    def __init__(
        self,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        *,
        iterations: int = 100,
        sink: Callable[[Finding], Any] | None = print_sink,
    ):
        super().__init__()
        if not 0 < min_lr < max_lr or not math.isfinite(max_lr):
            raise ValueError(
                f"LRFinder: 0 < min_lr < max_lr must hold; received min_lr={min_lr}, "
                f"max_lr={max_lr}."
            )
        if iterations < 10:
            raise ValueError(f"LRFinder: iterations must be 10 or more; received {iterations}.")
        self.min_lr, self.max_lr, self.iterations, self.sink = min_lr, max_lr, iterations, sink
        self.result: RangeResult | None = None
        self._guard: AbortGuard | None = None
        self._steps: HiddenSteps | None = None
        self.moved = 0.0
        self._start: Snapshot | None = None

    @property
    def suggestion(self) -> float | None:
        return None if self.result is None else self.result.suggestion

    def plot(self, ax: Any = None) -> Any:
        """See `RangeResult.plot`."""
        if self.result is None:
            raise ValueError("LRFinder: nothing to plot yet; run model.fit with it first.")
        return self.result.plot(ax)

    def set_model(self, model):
        super().set_model(model)
        self._stop_training = getattr(model, "stop_training", False)  # `fit` clears it next

    def on_train_begin(self, logs=None):
        require_compiled(self.model, "LRFinder")
        self.result = self._start = self._steps = None
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._kept: list[Any] = []
        self._repeated = self._nan = False
        self._group = steps_per_update(self.model)
        count = max(10, math.ceil(self.iterations / self._group))
        self._grid = np.geomspace(self.min_lr, self.max_lr, count)
        steps, epochs = self.params.get("steps"), self.params.get("epochs") or 1
        self._calls_left = steps and math.ceil(steps / self._execution) * epochs
        self._short = bool(steps) and steps * epochs < count * self._group
        self._history = getattr(self.model, "history", None)
        self._function = step_function(self.model)
        if self.model.built:
            self._begin()
        set_step_function(self.model, self._hidden_call)
        self._guard = AbortGuard(self.model, self._leave)

    @property
    def _execution(self) -> int:
        return int(self.model.steps_per_execution)

    def _begin(self) -> None:
        wrapper = step_function(self.model)
        set_step_function(self.model, self._function)
        try:
            self._start = Snapshot(self.model)
            self._start.stop_training = self._stop_training
            self._steps = HiddenSteps(self.model, self._start)
        finally:
            set_step_function(self.model, wrapper)

    def _hidden_call(self, *args: Any) -> Any:
        """Stands in for the model's step function while the test runs."""
        if getattr(self.model, "history", None) is not self._history or self._done:
            return self._function(*args)  # a later fit, or one that goes on
        if self._steps is None:
            args = self._build(args)
        assert self._steps is not None
        if self._short:
            batches = self._steps.batches_of(args)
            self._kept += batches
            args = self._steps.with_batches(args, batches)
        returned = self._one(args)
        if self._calls_left is not None:
            self._calls_left -= 1
        if self._short and self._calls_left == 0:
            while not self._done:  # the data are over: show them again
                self._repeated = True
                size, at = len(self._kept), len(self.losses) * self._execution
                again = [self._kept[(at + i) % size] for i in range(self._execution)]
                self._one(self._steps.with_batches(args, again))
        if self._done:
            self.model.stop_training = True
        return returned

    def _build(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A model without weights before its first batch (TensorFlow only)."""
        steps = HiddenSteps.__new__(HiddenSteps)
        steps.model = self.model
        batches = steps.batches_of(args)
        self.model(inputs_of(batches[0]), training=False)
        self._begin()
        return steps.with_batches(args, batches)

    def _one(self, args: tuple[Any, ...]) -> Any:
        assert self._steps is not None
        place = len(self.losses) * self._execution // self._group
        rate = float(self._grid[min(place, len(self._grid) - 1)])
        returned = self._steps.step(args, rate)
        logs = self._steps.logs_of(returned)
        self.rates.append(rate)
        self.losses.append(float(logs["loss"]))
        if rate < HARMLESS * (usual_rate(self.model, self._batch()) or 0.01):
            self._nan = self._nan or self._broken()
        return returned

    def _broken(self) -> bool:
        """Whether loss or weights are no numbers though the loss was calm until now."""
        assert self._steps is not None
        *before, last = self.losses
        if before and max(before) > 10 * abs(float(np.median(before))):
            return False  # blown up: inputs of great size do that at any rate
        if not math.isfinite(last):
            return True
        return len(self.losses) % LOOK == 1 and not self._steps.finite()

    def _batch(self) -> float | None:
        """Samples behind an update, if known."""
        rows = None if self._steps is None else self._steps.rows
        return rows and rows * batches_per_update(self.model)

    @property
    def _done(self) -> bool:
        if not self.losses:
            return False
        last, first = self.losses[-1], self.losses[0]
        if self._nan or not math.isfinite(last):
            return True
        recent = self.losses[-3:]
        lowest = min(self.losses)
        far = lowest + 4 * max(abs(first - lowest), 0.5 * abs(first))
        if len(self.losses) > 10 and min(recent) > far:
            return True
        return len(self.losses) * self._execution >= len(self._grid) * self._group

    def on_train_end(self, logs=None):
        batch, self.moved = self._batch(), 0.0 if self._steps is None else self._steps.moved()
        self._leave()
        self.result = judge_range(
            self.rates,
            self.losses,
            repeated=self._repeated,
            usual=usual_rate(self.model, batch),
            batch=batch,
            moved=self.moved,
            no_numbers=self._nan,
        )
        tell(self.result.findings, self.sink)

    def _leave(self) -> None:
        """Everything as it was; called at the end, and when `fit` breaks off."""
        if self._guard is not None:
            self._guard.release()
        set_step_function(self.model, self._function)
        if self._start is not None:
            self._start.restore()
        self._steps = self._start = None
        self._kept = []
