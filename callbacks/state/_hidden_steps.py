"""Training steps on a hidden copy of a model's state, inside a running `fit`."""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import array_of, fresh_step_function, step_function
from kcnn.callbacks.state._optimizer import RateControl
from kcnn.callbacks.state._snapshot import Snapshot, copies, finished, put_back, state_variables
from kcnn.callbacks.state._torch_random import torch_randoms

__all__ = ["HiddenSteps"]


class HiddenSteps:
    """Runs the model's training step on a state of its own.

    Between two steps model and optimizer hold what they held before the first: whatever
    other callbacks do or raise there, they see and leave the untrained state.

    Args:
        model: Model inside `fit`, built, with its step function made.
        start: Snapshot of the state from which the hidden training starts.
    """

    def __init__(self, model: keras.Model, start: Snapshot):
        self.model = model
        self.start = start
        self.control = RateControl(model)
        self._function = step_function(model)
        if self.control.retraces:
            self.control.hold()
            try:
                self._function = fresh_step_function(model)
            finally:
                self.control.release()
        self._values: list[tuple[Any, Any]] = []
        self._state: Any = None
        self._metrics: Any = None
        self._count = 0.0
        self.calls = 0

    def step(self, args: tuple[Any, ...], rate: float) -> Any:
        """One call of the step function at `rate`; returns what `fit` expects from it.

        The loss in the logs is that of this call's batches alone.
        """
        self.calls += 1
        if keras.config.backend() == "jax":
            return self._pure_step(args[0], args[1], rate)
        return self._variable_step(args, rate)

    @property
    def rows(self) -> float | None:
        """Samples in a batch of the first call, by Keras's own count for the mean loss.

        None before it, and where a training step of the user's own does not count them.
        """
        rows = self._count / int(self.model.steps_per_execution)
        return rows if rows > 1 else None

    def moved(self) -> float:
        """The largest change of a kernel so far, as a share of its norm before; NaN if any is."""
        before = {id(v): value for v, value in self.start.values}
        shares = [0.0]
        for variable, value in self._trained():
            if len(variable.shape) > 1:
                start = array_of(before[id(variable)]).astype("float64")
                change = array_of(value).astype("float64") - start
                norm = float(np.linalg.norm(start))
                shares.append(float(np.linalg.norm(change)) / norm if norm else 0.0)
        return float(np.max(shares))

    def finite(self) -> bool:
        """Whether all trained weights are finite."""
        sums = [keras.ops.sum(keras.ops.cast(value, "float32") * 0) for _, value in self._trained()]
        return bool(np.isfinite(float(sum(sums))))

    def _trained(self) -> list[tuple[Any, Any]]:
        """Trainable variables and their values in the hidden training."""
        if keras.config.backend() == "jax" and self._state is not None:
            return list(zip(self.model.trainable_variables, self._state[0], strict=True))
        trained = {id(v) for v in self.model.trainable_variables}
        return [(v, value) for v, value in self._values if id(v) in trained]

    def logs_of(self, returned: Any) -> Any:
        """The logs within what `step` returned."""
        return returned[0] if keras.config.backend() == "jax" else returned

    def with_batches(self, args: tuple[Any, ...], batches: list[Any]) -> tuple[Any, ...]:
        """The same arguments with other batches."""
        if keras.config.backend() == "jax":
            return args[0], iter(batches)
        return (batches,)

    def batches_of(self, args: tuple[Any, ...]) -> list[Any]:
        """Take this call's batches out of its arguments. Raises StopIteration at the end."""
        source = args[-1]
        if isinstance(source, list):
            return source
        count = int(self.model.steps_per_execution)
        if hasattr(source, "get_next_as_optional"):
            found = (source.get_next_as_optional() for _ in range(count))
            batches = [batch.get_value() for batch in found if batch.has_value()]
        else:
            batches = [batch for _, batch in zip(range(count), source, strict=False)]
        if not batches:
            raise StopIteration
        return batches

    def _variable_step(self, args: tuple[Any, ...], rate: float) -> Any:
        """TensorFlow and PyTorch: the state is in the variables; swap it in and out."""
        model = self.model
        drawn = copies(torch_randoms())  # by the data loader
        try:
            self.control.hold()
            put_back(self._values)
            self.control.set(rate)
            model.reset_metrics()
            returned = self._function(*args)
            if self.calls == 1:
                self._note_count([v.value for v in model.metrics_variables])
            self._values = copies(state_variables(model))
            return returned
        finally:
            try:
                self.control.release()
            finally:
                finished(self.start.rewind)
                put_back(drawn)

    def _pure_step(self, state: Any, iterator: Any, rate: float) -> Any:
        """JAX: the state is an argument; keep one's own and hand `fit` its own back."""
        control, optimizer = self.control, self.model.optimizer
        if self._state is None:
            self._state = keras.tree.map_structure(keras.ops.copy, state)
            self._state[2].extend(keras.ops.copy(v.value) for v in control.extra_variables)
            self._metrics = keras.tree.map_structure(keras.ops.copy, state[3])
        control.hold(keep_values=False)  # inside `fit` JAX has emptied the variables
        try:
            index = [id(v) for v in optimizer.variables].index(id(control.rate_variable))
            held = list(self._state[2])
            held[index] = keras.ops.full_like(held[index], rate)
            metrics = keras.tree.map_structure(keras.ops.copy, self._metrics)
            mine = (self._state[0], self._state[1], held, metrics)
            logs, self._state = self._function(mine, iterator)
            if self.calls == 1:
                self._note_count(self._state[3])
        finally:
            control.release()
        return logs, state

    def _note_count(self, values: list[Any]) -> None:
        """Read the mean loss's count among the metrics' values."""
        metric = next((m for m in self.model.metrics if m.name == "loss"), None)
        counted = getattr(metric, "count", None)
        for variable, value in zip(self.model.metrics_variables, values, strict=False):
            if variable is counted:
                self._count = float(array_of(value))
