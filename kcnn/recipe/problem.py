"""What is to be learned, apart from the data themselves; and the loss and metrics that fit it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kcnn.recipe.settings import RecipeError, first_line
from kcnn.serving import read_output

__all__ = ["Problem", "accuracy_key"]

ACCURACIES = (
    "accuracy",
    "acc",
    "sparse_categorical_accuracy",
    "categorical_accuracy",
    "binary_accuracy",
)


@dataclass(frozen=True)
class Problem:
    """Classes, the shape of one input, and the form of the labels.

    Attributes:
        classes: how many.
        input_shape: of one input, without the batch dimension.
        multi_label: each image may have several classes; labels are multi-hot.
        soft: training labels are shares of classes (MixUp, CutMix), one-hot otherwise.
        loss: for models that come uncompiled; None: the cross-entropy that fits the labels.
        metrics: likewise; None: the accuracy.
    """

    classes: int
    input_shape: tuple[int, ...]
    multi_label: bool = False
    soft: bool = False
    loss: Any = None
    metrics: Sequence[Any] | None = None

    def compile(self, model: keras.Model, optimizer: Any) -> None:
        """Compile a model that came without loss and metrics."""
        logits = self._gives_logits(model)
        model.compile(
            optimizer=optimizer,
            loss=self.loss if self.loss is not None else self._cross_entropy(logits),
            metrics=[_anew(m) for m in self.metrics] if self.metrics else [self._accuracy(logits)],
        )

    def labels(self, y: np.ndarray) -> np.ndarray:
        """Labels in the form that the loss takes."""
        return np.eye(self.classes, dtype="float32")[y] if self.soft and y.ndim == 1 else y

    def check(self, model: keras.Model) -> None:
        """Refuse a model whose input or output is another one.

        Raises:
            RecipeError: with both shapes.
        """
        try:
            wanted = tuple(model.input_shape[1:])
            width = tuple(model.output_shape)
        except (AttributeError, ValueError, TypeError):
            wanted, width = self.input_shape, self._called(model)
        if len(wanted) != len(self.input_shape) or any(
            a is not None and a != b for a, b in zip(wanted, self.input_shape, strict=False)
        ):
            raise RecipeError(
                f"build gave {model.name!r}, which takes inputs of shape {wanted}; the data have "
                f"{self.input_shape}. Build it for the data's shape, or give --image-size."
            )
        binary = width[-1:] == (1,) and self.classes == 2 and model.compiled
        if len(width) != 2 or (width[-1] != self.classes and not binary):
            raise RecipeError(
                f"build gave {model.name!r} with output {width}; the data have {self.classes} "
                f"classes, so it has to be (None, {self.classes})."
            )

    def _gives_logits(self, model: keras.Model) -> bool:
        """Read off the last activation; where that can't be seen, off one output."""
        try:
            return read_output(model, self.classes).from_logits
        except ValueError:
            inputs = keras.random.uniform((4, *self.input_shape), 0.0, 255.0, seed=0)
            outputs = keras.ops.convert_to_numpy(model(inputs, training=False))
            shares = outputs.min() >= 0 and outputs.max() <= 1
            return not (shares and (self.multi_label or abs(outputs.sum(1) - 1).max() < 1e-3))

    def _called(self, model: keras.Model) -> tuple[int | None, ...]:
        try:
            outputs = model(keras.ops.zeros((1, *self.input_shape)), training=False)
            return tuple(outputs.shape)
        except Exception as error:
            raise RecipeError(
                f"build gave {model.name!r}, which does not take inputs of shape "
                f"{self.input_shape}: {first_line(error)}"
            ) from error

    def _cross_entropy(self, logits: bool) -> keras.losses.Loss:
        if self.multi_label:
            return keras.losses.BinaryCrossentropy(from_logits=logits)
        if self.soft:
            return keras.losses.CategoricalCrossentropy(from_logits=logits)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)

    def _accuracy(self, logits: bool) -> Any:
        if self.multi_label:
            return keras.metrics.BinaryAccuracy("accuracy", threshold=0.0 if logits else 0.5)
        return "accuracy"


def accuracy_key(logs: dict[str, Any]) -> str | None:
    """The name of the accuracy among the values of an epoch, None where there is none."""
    return next((name for name in ACCURACIES if name in logs), None)


def _anew(metric: Any) -> Any:
    """A metric of one model's own: two models can't share one."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric
