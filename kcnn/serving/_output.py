"""What a model's output means: what is still to be done to it to have probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["Output", "read_output"]

_SAME_VALUES = frozenset({"Dropout", "Flatten", "Identity", "Reshape"})
_PROBABILITIES = frozenset({"softmax", "sigmoid"})
# softmax(log_softmax(z)) is softmax(z), so log-probabilities are as good as logits.
_LOGITS = frozenset({"linear", "log_softmax"})


@dataclass(frozen=True)
class Output:
    """One output of shape (n, units): logits or probabilities, of one class or of many.

    One unit serves as two classes, the second one positive. With `multi_label` every class has
    a probability of its own (sigmoid); else they sum to 1 (softmax).
    """

    units: int
    from_logits: bool
    multi_label: bool

    @property
    def classes(self) -> int:
        return max(self.units, 2)

    def probabilities(self, outputs: Any) -> Any:
        """The model's output (n, units) as float32 probabilities (n, classes)."""
        outputs = keras.ops.cast(outputs, "float32")
        if self.from_logits:
            squash = keras.ops.sigmoid if self.multi_label or self.units == 1 else keras.ops.softmax
            outputs = squash(outputs)
        if self.units == 1:
            outputs = keras.ops.concatenate([1.0 - outputs, outputs], axis=-1)
        return outputs


def read_output(
    model: keras.Model,
    units: int,
    *,
    from_logits: bool | None = None,
    multi_label: bool | None = None,
) -> Output:
    """Read off the last activation what an output is; the arguments overrule it.

    The last operation that changes values decides (nested models are entered; casts, reshapes
    and dropout are passed over): several sigmoids mean several labels. Where it gives logits or
    can't be seen (a subclassed model), the loss the model was compiled with decides.

    Raises ValueError where neither tells.

    >>> read_output(model, 10).from_logits
    False
    """
    name = _last_activation(model)
    loss = getattr(model, "loss", None)
    if from_logits is None:
        from_logits = _gives_logits(model, name, loss)
    if multi_label is None:
        binary_loss = type(loss).__name__.startswith("Binary") or (
            isinstance(loss, str) and loss.lower().startswith("binary")
        )
        multi_label = name == "sigmoid" or (name != "softmax" and binary_loss)
    return Output(units, from_logits, multi_label and units > 1)


def _gives_logits(model: keras.Model, name: str | None, loss: Any) -> bool:
    if name in _PROBABILITIES:
        return False
    if name in _LOGITS:
        return True
    from_logits = getattr(loss, "from_logits", None)
    if name is None and from_logits is not None:
        return bool(from_logits)
    seen = f"its last activation is {name!r}" if name else "its last layer cannot be seen"
    raise ValueError(
        f"Model {model.name!r}: cannot tell whether it gives logits or probabilities ({seen}). "
        "Pass from_logits=True or from_logits=False."
    )


def _last_activation(model: keras.Model) -> str | None:
    """Name of the activation of the last operation that changes values, or None."""
    tensor = _output_tensor(model)
    while tensor is not None:
        operation, node_index, _ = tensor._keras_history
        if isinstance(operation, keras.Model):
            return _last_activation(operation)
        name = _activation_of(operation)
        if name != "linear" or type(operation).__name__ not in _SAME_VALUES | {"Activation"}:
            return name
        inputs = operation._inbound_nodes[node_index].input_tensors
        tensor = inputs[0] if inputs else None
    return None


def _output_tensor(model: keras.Model) -> Any:
    """The symbolic output of a functional or sequential model, None for a subclassed one."""
    try:
        outputs = model.outputs
    except (AttributeError, ValueError):
        return None
    return outputs[0] if outputs else None


def _activation_of(operation: Any) -> str:
    """'softmax' for a softmax layer, function or `activation=`; 'linear' where there is none."""
    kind = type(operation).__name__
    if kind in {"Softmax", "Sigmoid", "LogSoftmax"}:
        return {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}[kind]
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return getattr(activation, "__name__", type(activation).__name__).lower()
