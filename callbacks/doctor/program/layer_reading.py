"""Activations and gradients, layer by layer, on a few rows."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import (
    flat_layers,
    inputs_of,
    kernel_of,
    known_graph,
    layer_activation,
)
from kcnn.callbacks.doctor.program.rows import tensors
from kcnn.callbacks.keras_internals import array_of, calls_of

__all__ = ["LayerReading", "read_activations", "read_layers"]


@dataclasses.dataclass
class LayerReading:
    """One look into a network.

    Args:
        dead: Share of units that are zero for every row, per relu layer.
        size: Root mean square of each layer's output, in order.
        gradient: Norm of the kernel gradient over the norm of the kernel, in order.
        gradient_norm: Norm of the whole gradient.
    """

    dead: dict[str, float] = dataclasses.field(default_factory=dict)
    size: dict[str, float] = dataclasses.field(default_factory=dict)
    gradient: dict[str, float] = dataclasses.field(default_factory=dict)
    gradient_norm: float = 0.0

    @property
    def fading(self) -> float:
        """Relative gradient of the first kernel over the median of the last two."""
        values = list(self.gradient.values())
        if len(values) < 3:
            return 1.0
        return float(values[0] / max(np.median(values[-2:]), 1e-30))


def read_layers(model: keras.Model, x: Any, y: Any) -> LayerReading:
    """Look at a model on a batch: activations where its graph is known, gradients in training
    mode, so that batch statistics move."""
    reading = read_activations(model, x)
    reading.gradient, reading.gradient_norm = _gradients(model, tensors(x), tensors(y))
    return reading


def read_activations(model: keras.Model, x: Any) -> LayerReading:
    """Look at the activations alone; nothing of them where the graph is not known."""
    reading = LayerReading()
    layers = [
        layer
        for layer in (model.layers if known_graph(model) else [])
        if (layer_activation(layer) is not None or isinstance(layer, keras.layers.RNN))
        and not isinstance(layer, keras.Model)
        and len(calls_of(layer)) == 1
    ]
    if not layers:
        return reading
    inside = keras.Model(inputs_of(model), [layer.output for layer in layers])
    outs = inside(tensors(x), training=False)
    outs = outs if isinstance(outs, (list, tuple)) else [outs]
    for layer, out in zip(layers, outs, strict=True):
        values = keras.ops.convert_to_numpy(out).astype("float64")
        rows = values.reshape(-1, values.shape[-1])
        reading.size[layer.name] = float(np.sqrt((rows**2).mean()))
        if layer_activation(layer) == "relu":
            reading.dead[layer.name] = float((rows.max(0) <= 0).mean())
    return reading


def _gradients(model: keras.Model, x: Any, y: Any) -> tuple[dict[str, float], float]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), None)
    variables = model.trainable_variables
    grads = tape.gradient(loss, variables)
    by_id = {
        id(v): np.asarray(tf.convert_to_tensor(g), "float64")
        for v, g in zip(variables, grads, strict=True)
        if g is not None
    }
    relative = {}
    for layer in flat_layers(model):
        kernel = kernel_of(layer)
        if kernel is not None and id(kernel) in by_id:
            scale = float(np.linalg.norm(array_of(kernel))) + 1e-12
            relative[layer.name] = float(np.linalg.norm(by_id[id(kernel)])) / scale
    return relative, float(np.sqrt(sum((g**2).sum() for g in by_id.values())))
