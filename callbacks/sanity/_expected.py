"""The loss of guessing, from the loss function and the number of classes."""

import math
from typing import Any

import keras

from kcnn.callbacks.keras_internals import functional_of, loss_weights_of

__all__ = ["expected_initial_loss", "expected_of_model"]

HINGES = ("Hinge", "SquaredHinge", "CategoricalHinge")
LOG_CLASSES = ("CategoricalCrossentropy", "SparseCategoricalCrossentropy", "KLDivergence")


def expected_initial_loss(loss: Any, classes: int | None = None) -> float | None:
    """Loss per sample of a model that holds all classes for equally likely.

    Args:
        loss: A Keras loss (object, class name, function name or function).
        classes: Number of classes; not needed for binary losses and hinges.

    Returns:
        Nats: `log(classes)` for categorical cross-entropies (label smoothing does not
        change it) and for the KL divergence to one-hot labels; `log 2` for the binary
        one; those times their modulating factor for the focal losses (Lin et al. 2017);
        1 for hinges. None where it depends on the targets (regression) or on the batch
        (`reduction="sum"`).

    Raises:
        ValueError: if `classes` is needed and missing or below 2.

    >>> round(expected_initial_loss("sparse_categorical_crossentropy", classes=10), 3)
    2.303
    """
    name, loss = named_loss(loss)
    if getattr(loss, "reduction", "mean") in ("sum", "none", None):
        return None
    if name in HINGES:
        return 1.0
    if name == "BinaryCrossentropy":
        return math.log(2)
    if name == "BinaryFocalCrossentropy":
        if getattr(loss, "apply_class_balancing", False):
            return None
        return 0.5 ** getattr(loss, "gamma", 2.0) * math.log(2)
    if name not in (*LOG_CLASSES, "CategoricalFocalCrossentropy"):
        return None
    if classes is None or classes < 2:
        raise ValueError(
            f"expected_initial_loss: {name} needs the number of classes, 2 or more; "
            f"received classes={classes}."
        )
    if name != "CategoricalFocalCrossentropy":
        return math.log(classes)
    gamma, alpha = getattr(loss, "gamma", 2.0), getattr(loss, "alpha", 0.25)
    return alpha * (1 - 1 / classes) ** gamma * math.log(classes)


def expected_of_model(model: keras.Model, classes: int | None = None) -> float | None:
    """The same for a compiled model: weights and several outputs counted.

    None where it is not known: no or custom loss, regression, unknown classes.
    """
    shapes, names = _outputs(model)
    losses = _in_order(getattr(model, "loss", None), names)
    weights = _in_order(loss_weights_of(model), names)
    if not losses or (len(shapes) not in (0, len(losses)) and len(losses) != 1):
        return None
    if len(losses) == 1 and len(shapes) > 1:
        losses = losses * len(shapes)
    total = 0.0
    for index, loss in enumerate(losses):
        if loss is None:
            continue
        width = shapes[index][-1] if index < len(shapes) else None
        loss = _by_shape(loss, width)
        try:
            expected = expected_initial_loss(loss, classes or width)
        except ValueError:
            expected = None
        if expected is None:
            return None
        weight = weights[index] if index < len(weights) else None
        total += expected * (1.0 if weight is None else float(weight))
    return total


def named_loss(loss: Any) -> tuple[str, Any]:
    """(class name, loss object) of any identifier that Keras takes."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return type(loss).__name__, loss
    for name in (*LOG_CLASSES, *HINGES, "BinaryCrossentropy", "BinaryFocalCrossentropy"):
        snake = getattr(loss, "__name__", "")
        if snake.replace("_", "") == name.lower():
            return name, loss
    if getattr(loss, "__name__", "") == "categorical_focal_crossentropy":
        return "CategoricalFocalCrossentropy", loss
    return getattr(loss, "__name__", type(loss).__name__), loss


def _by_shape(loss: Any, width: int | None) -> Any:
    """Keras resolves "crossentropy" by the output's width."""
    if str(loss).lower() not in ("crossentropy", "ce"):
        return loss
    return "binary_crossentropy" if width == 1 else "categorical_crossentropy"


def _outputs(model: keras.Model) -> tuple[list[tuple[int | None, ...]], list[str]]:
    """Shapes and names of the outputs, as `compile` knows them; none of a model without a graph."""
    graph = functional_of(model)
    if graph is None:
        return [], []
    named = graph.output
    names = sorted(named) if isinstance(named, dict) else list(graph.output_names)
    return [tuple(output.shape) for output in graph.outputs], names


def _in_order(given: Any, names: list[str]) -> list[Any]:
    """What `compile` was given for each output, in their order; None where it was not."""
    if isinstance(given, dict) and names:
        return [given.get(name) for name in names]
    return keras.tree.flatten(given)
