"""Switch regularization off for a while: what can be switched, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks.keras_internals import draws_random_numbers, layers_of

__all__ = ["SwitchedOff"]

MISSING = object()

RATES = ("rate", "dropout", "recurrent_dropout", "stddev", "drop_path", "drop_rate")


class SwitchedOff:
    """Context without dropout, noise, augmentation layers, weight and activity penalties.

    Layers that draw random numbers and have no weights of their own (dropout, noise,
    Keras's and keras-cv's random augmentation) run with `training=False`, where they are
    what they are at inference. Dropout rates inside other layers (recurrent ones, a
    stochastic depth with weights) are set to 0. Penalties hang on variables and layers and
    are taken off. All of it works on any model, subclassed ones too, since nothing is
    cloned; it needs a step function traced anew, which `changed` tells.

    Stays on: batch normalization (in training mode), penalties added by `add_loss`, and
    randomness that a layer draws without a seed generator.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.names: list[str] = []
        self._undo: list[tuple[dict[str, Any], str, Any]] = []

    @property
    def changed(self) -> bool:
        """True if there was anything to switch off."""
        return bool(self._undo)

    def __enter__(self) -> SwitchedOff:
        try:
            for layer in layers_of(self.model):
                self._switch(layer)
            for variable in self.model.variables:
                if getattr(variable, "regularizer", None) is not None:
                    self._set(variable, "_regularizer", None)
                    self.names.append(f"penalty on {variable.path}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self._undo:
            attributes, name, value = self._undo.pop()
            if value is MISSING:
                attributes.pop(name, None)
            else:
                attributes[name] = value

    def _switch(self, layer: Any) -> None:
        if getattr(layer, "activity_regularizer", None) is not None:
            self._set(layer, "activity_regularizer", None)
            self.names.append(f"activity penalty of {layer.name}")
        if not draws_random_numbers(layer):
            return
        if not layer.weights:
            self._set(layer, "call", _as_at_inference(layer.call))
            self.names.append(layer.name)
            return
        for name in RATES:
            value = vars(layer).get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
                self._set(layer, name, 0.0)
                self.names.append(f"{name} of {layer.name}")

    def _set(self, owner: Any, name: str, value: Any) -> None:
        attributes = vars(owner)
        self._undo.append((attributes, name, attributes.get(name, MISSING)))
        attributes[name] = value


def _as_at_inference(call: Callable[..., Any]) -> Callable[..., Any]:
    def inferring(*args, **kwargs):
        if "training" in kwargs:
            kwargs["training"] = False
        return call(*args, **kwargs)

    return inferring
