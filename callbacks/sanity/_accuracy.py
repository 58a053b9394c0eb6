"""Accuracy of a model on one batch, told from the compiled loss."""

import math
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.sanity._expected import named_loss

__all__ = ["accuracy_of", "least_loss"]


def accuracy_of(model: keras.Model, batch: Any) -> float | None:
    """Share of right answers in training mode (batch statistics), 0..1.

    None where the task has no accuracy (regression, several outputs, no targets). Changes
    batch statistics and seeds: call it where the model is put back afterwards.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        return None
    targets = batch[1]
    name, loss = named_loss(model.loss)
    if not isinstance(targets, np.ndarray) or "Crossentropy" not in name:
        return None
    outputs = model(batch[0], training=True)
    if isinstance(outputs, (dict, list, tuple)):
        return None
    scores = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    if name.startswith("Binary"):
        threshold = 0.0 if getattr(loss, "from_logits", False) else 0.5
        return float(np.mean((scores > threshold) == (targets.reshape(scores.shape) > 0.5)))
    if not name.startswith("Sparse"):
        targets = targets.argmax(-1)
    return float(np.mean(scores.argmax(-1) == targets.reshape(scores.shape[:-1])))


def least_loss(model: keras.Model) -> float:
    """The lowest value of the compiled loss: above 0 with label smoothing, in nats."""
    name, loss = named_loss(model.loss)
    smoothing = float(getattr(loss, "label_smoothing", 0.0) or 0.0)
    if not smoothing or name not in ("CategoricalCrossentropy", "BinaryCrossentropy"):
        return 0.0
    classes = 2 if name.startswith("Binary") else int(model.output_shape[-1])
    rest = smoothing / classes
    top = 1 - smoothing + rest
    return -(top * math.log(top) + (classes - 1) * rest * math.log(rest))
