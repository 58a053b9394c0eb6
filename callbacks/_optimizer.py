"""Take hold of an optimizer's learning rate and weight decay, and let go without a trace."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["RateControl", "innermost", "present_rate"]


def innermost(optimizer: Any) -> list[Any]:
    """The optimizer and those it wraps (loss scaling), outermost first."""
    found = [optimizer]
    while (inner := getattr(found[-1], "inner_optimizer", None)) is not None:
        found.append(inner)
    return found


class RateControl:
    """Sets the learning rate (and weight decay) of a compiled model, step by step.

    A learning rate that is a variable is assigned: nothing is traced again. One that is
    a schedule or a callable, and a weight decay that is a Python number, are built into
    the traced step: they are replaced by a variable, and a step function of its own is
    made; `release` puts both back.

    Args:
        model: Compiled model with a built optimizer.
        weight_decay: Value while held, or None to leave it. Optimizers without weight
            decay (`weight_decay=None`) get it in Keras's decoupled form.
    """

    def __init__(self, model: keras.Model, *, weight_decay: float | None = None):
        self.model = model
        self.optimizer = innermost(model.optimizer)[-1]
        self._rate = self.optimizer._learning_rate
        self._decay = self.optimizer.weight_decay
        self._wanted_decay = weight_decay
        self._decay_value: float | None = None
        self._added: list[Any] = []
        self._functions: Any = None
        try:
            if not isinstance(self._rate, keras.Variable):
                self._replace("_learning_rate", 0.0)
            if weight_decay is not None:
                if isinstance(self._decay, keras.Variable):
                    self._decay_value = float(keras.ops.convert_to_numpy(self._decay))
                elif (self._decay or 0.0) != weight_decay:
                    self._replace("weight_decay", weight_decay)
        except BaseException:
            self.release()
            raise

    @property
    def retraced(self) -> bool:
        """True if the model's own step function could not be used."""
        return bool(self._added)

    def set(self, rate: float) -> None:
        """Learning rate of the next step, and the weight decay asked for."""
        self.optimizer._learning_rate.assign(rate)
        if isinstance(self.optimizer.weight_decay, keras.Variable) and (
            self._wanted_decay is not None
        ):
            self.optimizer.weight_decay.assign(self._wanted_decay)

    def _replace(self, name: str, value: float) -> None:
        variable = keras.Variable(value, dtype="float32", trainable=False, name=f"held_{name}")
        if not self._added:
            self._functions = self.model.train_function
            self.model.train_function = None
        self._added.append(variable)
        setattr(self.optimizer, name, variable)  # tracked: JAX must see it as state

    def release(self) -> None:
        """The optimizer's own rate, weight decay and the model's own step function again."""
        optimizer = self.optimizer
        for name, own in (("_learning_rate", self._rate), ("weight_decay", self._decay)):
            if getattr(optimizer, name) is not own:
                setattr(optimizer, name, own)
        if self._decay_value is not None:
            self._decay.assign(self._decay_value)
        for variable in self._added:
            optimizer._untrack_variable(variable)
        if self._added:
            self.model.train_function = self._functions
        self._added = []


def present_rate(model: keras.Model) -> float:
    """The learning rate of the next step, whatever it is made of."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
