"""Take hold of an optimizer's learning rate and weight decay, and let go without a trace."""

from collections.abc import Iterable
from typing import Any

import keras

from kcnn.callbacks.keras_internals import (
    array_of,
    layers_of,
    rate_source,
    set_rate_source,
    set_step_function,
    step_function,
    untrack_variable,
)

__all__ = [
    "RateControl", "batches_per_update", "innermost", "optimizers_of", "present_rate",
    "steps_per_update", "unique",
]  # fmt: skip

RATE = "learning rate"


def innermost(optimizer: Any) -> list[Any]:
    """The optimizer and those it wraps (loss scaling), outermost first."""
    found = [optimizer]
    while (inner := getattr(found[-1], "inner_optimizer", None)) is not None:
        found.append(inner)
    return found


def unique(things: Iterable[Any]) -> list[Any]:
    """The things in their order, each once."""
    return list({id(one): one for one in things}.values())


def optimizers_of(model: keras.Model) -> list[Any]:
    """The model's optimizer, and those that its class or models inside of it have besides."""
    held = [value for layer in layers_of(model) for value in vars(layer).values()]
    kept = [value for value in held if isinstance(value, keras.optimizers.Optimizer)]
    return unique([model.optimizer, *kept])


def present_rate(model: keras.Model) -> float:
    """The learning rate of the next step, whatever it is made of."""
    return float(array_of(model.optimizer.learning_rate))


def batches_per_update(model: keras.Model) -> int:
    """Batches whose gradients are accumulated for one update of the weights."""
    return int(innermost(model.optimizer)[-1].gradient_accumulation_steps or 1)


def steps_per_update(model: keras.Model) -> int:
    """Batches that share one learning rate: gradient accumulation, steps per execution."""
    return max(batches_per_update(model), int(model.steps_per_execution))


class RateControl:
    """Sets the learning rate (and weight decay) of a compiled model, step by step.

    A learning rate that is a variable is assigned: nothing is traced again. One that is
    a schedule or a callable, and a weight decay that is another Python number than asked
    for, are built into the traced step: they are replaced by a variable while held, with
    a step function of their own (`retraces`).

    Args:
        model: Compiled model with a built optimizer.
        weight_decay: Value while held, or None to leave it. Optimizers without weight
            decay (`weight_decay=None`) get it in Keras's decoupled form.
    """

    def __init__(self, model: keras.Model, *, weight_decay: float | None = None):
        self.model = model
        self.optimizer = innermost(model.optimizer)[-1]
        self.weight_decay = weight_decay
        own = {RATE: rate_source(self.optimizer)}
        if weight_decay is not None:
            own["weight_decay"] = self.optimizer.weight_decay
        self._assigned = {n: v for n, v in own.items() if isinstance(v, keras.Variable)}
        self._replaced = {
            name: (value, keras.Variable(0.0, dtype="float32", trainable=False, name=f"held{name}"))
            for name, value in own.items()
            if name not in self._assigned and (name == RATE or (value or 0.0) != weight_decay)
        }
        self._before: dict[str, Any] = {}
        self._functions: Any = None
        self._held_function: Any = None
        self.held = False

    @property
    def retraces(self) -> bool:
        """True if the model's own step function cannot be used."""
        return bool(self._replaced)

    @property
    def rate_variable(self) -> Any:
        """The variable that the step reads the learning rate from while held."""
        if RATE in self._assigned:
            return self._assigned[RATE]
        return self._replaced[RATE][1]

    @property
    def extra_variables(self) -> list[Any]:
        """Variables that the optimizer has while held, at the end of its own."""
        return [variable for _, variable in self._replaced.values()]

    def hold(self, *, keep_values: bool = True) -> None:
        """Take over; the values are put in by `set`. `keep_values`: give them back later."""
        self.held = True
        kept = self._assigned if keep_values else {}
        self._before = {name: keras.ops.copy(v.value) for name, v in kept.items()}
        if not self._replaced:
            return
        self._functions = step_function(self.model)
        set_step_function(self.model, self._held_function)
        for name, (_, variable) in self._replaced.items():
            self._put(name, variable)  # tracked: JAX must see it as state

    def set(self, rate: float) -> None:
        """Learning rate of the next step, and the weight decay asked for. While held."""
        self.rate_variable.assign(rate)
        if self.weight_decay is not None and isinstance(
            self.optimizer.weight_decay, keras.Variable
        ):
            self.optimizer.weight_decay.assign(self.weight_decay)

    def release(self) -> None:
        """The optimizer's own rate, weight decay and the model's own step function again."""
        if not self.held:
            return
        self.held = False
        for name, value in self._before.items():
            self._assigned[name].assign(value)
        for name, (value, variable) in self._replaced.items():
            self._put(name, value)
            untrack_variable(self.optimizer, variable)
        if self._replaced:
            self._held_function = step_function(self.model)
            set_step_function(self.model, self._functions)

    def _put(self, name: str, value: Any) -> None:
        if name == RATE:
            set_rate_source(self.optimizer, value)
        else:
            self.optimizer.weight_decay = value
