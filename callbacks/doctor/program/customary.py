"""The customary end of a network for a task: activation and loss, on the same number of units."""

from collections.abc import Callable
from typing import Any

import keras

from kcnn.callbacks.doctor.program.copies import changed
from kcnn.callbacks.doctor.program.graph import flat_layers, kernel_of, layer_activation
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["CustomaryEnd", "right_head"]

RIGHT = {
    "binary": "Dense(1, activation='sigmoid') with loss='binary_crossentropy'",
    "multiclass": "Dense({k}, activation='softmax') with a categorical cross-entropy",
    "multilabel": "Dense({k}, activation='sigmoid') with loss='binary_crossentropy'",
    "regression": "Dense({k}) without activation with loss='mse'",
}


def right_head(task: TaskFacts) -> str:
    """In words, a head and a loss that fit the task."""
    return RIGHT[task.kind].format(k=task.classes)


ENDS = {
    "bce": ("sigmoid", "binary_crossentropy"),
    "scce": ("softmax", "sparse_categorical_crossentropy"),
    "cce": ("softmax", "categorical_crossentropy"),
    "mse": ("linear", "mse"),
}


def _kind(task: TaskFacts, head: HeadFacts) -> str | None:
    """The kind of loss that is customary; None where the outputs do not fit."""
    if task.kind == "binary" and head.units == 1 and set(task.values) <= {0, 1}:
        return "bce"
    if task.exclusive and task.form == "ids":
        return "scce" if task.whole and task.low >= 0 and task.high < head.units else None
    kinds = {"multiclass": ("cce", task.low >= 0), "multilabel": ("bce", task.low == 0),
             "regression": ("mse", True)}  # fmt: skip
    kind, fits = kinds.get(task.kind, ("", False))
    return kind if fits and head.units == task.classes else None


class CustomaryEnd:
    """What the end of the network would customarily be.

    `known` is False where the number of outputs does not fit, so that none can be tried.
    """

    def __init__(self, task: TaskFacts | None, head: HeadFacts):
        kind = None
        if task is not None and head.rank == 2 and task.scaled == 1.0:
            kind = _kind(task, head)
        self.known, kind = kind is not None, kind or "mse"
        self.activation, self.loss = ENDS[kind]
        ends = () if self.activation == "linear" else (self.activation,)
        self.head = HeadFacts(ends, head.units, head.rank)
        self.facts = LossFacts(kind, self.loss)

    def differs(self, context: Any) -> bool:
        """Whether it is known and the program has another (scores with from_logits are none)."""
        return self.known and not self._same(context.head, context.loss)

    def _same(self, head: HeadFacts, loss: LossFacts) -> bool:
        squashed = head.activations == self.head.activations
        bare = loss.from_logits and not head.activations
        if self.facts.kind == "mse":  # other losses of numbers are as good
            own = loss.kind == "other" and loss.name not in ("none", "unknown")
            return squashed and loss.kind != "bce" and not own  # the user's own may be anything
        return self.facts.kind == loss.kind and (squashed or bare)

    def edit(self, model: keras.Model, *, bare: bool) -> Callable[[Any], Any] | None:
        """Layers of the end replaced; None when the last kernel has no activation to set.

        `bare` leaves no activation in place of the customary one.
        """
        activation = "linear" if bare else self.activation
        layers = flat_layers(model)
        at = [i for i, layer in enumerate(layers) if kernel_of(layer) is not None]
        if not at or not hasattr(layers[at[-1]], "activation"):
            return None
        last, rest = layers[at[-1]], layers[at[-1] + 1 :]
        if any(layer.weights or layer_activation(layer) is None for layer in rest):
            return None
        after = {layer.name for layer in rest}

        def change(layer):
            if layer.name == last.name:
                return changed(layer, activation=activation)
            if layer.name in after and layer_activation(layer) is not None:
                return keras.layers.Identity(name=layer.name)
            return None

        return change
