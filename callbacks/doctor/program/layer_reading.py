"""Activations and gradients, layer by layer, on a few rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import (
    flat_layers,
    kernel_of,
    known_graph,
    layer_activation,
)
from kcnn.callbacks.keras_internals import array_of

__all__ = ["LayerReading", "read_layers"]


@dataclasses.dataclass
class LayerReading:
    """One look into a network.

    Args:
        dead: Share of units that are zero for every row, per relu layer.
        saturated: Share of outputs at an end of sigmoid or tanh, per such layer.
        flat: Names of layers whose outputs hardly differ between rows.
        size: Root mean square of each layer's output, in order.
        gradient: Norm of the kernel gradient over the norm of the kernel, in order.
        gradient_norm: Norm of the whole gradient.
    """

    dead: dict[str, float]
    saturated: dict[str, float]
    flat: list[str]
    size: dict[str, float]
    gradient: dict[str, float]
    gradient_norm: float

    @property
    def fading(self) -> float:
        """Relative gradient of the first kernel over the median of the last two."""
        values = list(self.gradient.values())
        if len(values) < 3:
            return 1.0
        return float(values[0] / max(np.median(values[-2:]), 1e-30))


def read_layers(model: keras.Model, x: Any, y: Any, weight: Any = None) -> LayerReading:
    """Look at a model of known graph on a batch; gradients (in training mode, so that batch
    statistics move) for any model."""
    import tensorflow as tf

    from kcnn.callbacks.doctor.trials.trainer import tensors

    dead: dict[str, float] = {}
    saturated: dict[str, float] = {}
    flat: list[str] = []
    size: dict[str, float] = {}
    x, y = tensors(x), tensors(y)
    if known_graph(model):
        layers = [
            layer
            for layer in model.layers
            if (layer_activation(layer) is not None or isinstance(layer, keras.layers.RNN))
            and not isinstance(layer, keras.Model)
            and len(layer._inbound_nodes) == 1
        ]
        if layers:
            ends = [layer.output for layer in layers]
            inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
            outs = keras.Model(inputs, ends)(x, training=False)
            outs = outs if isinstance(outs, (list, tuple)) else [outs]
            for layer, out in zip(layers, outs, strict=True):
                out = np.asarray(out, "float64")
                rows = out.reshape(-1, out.shape[-1])
                kind = layer_activation(layer)
                size[layer.name] = float(np.sqrt((rows**2).mean()))
                if kind == "relu":
                    dead[layer.name] = float((rows.max(0) <= 0).mean())
                if kind in ("sigmoid", "tanh") and layer is not model.layers[-1]:
                    low = -1.0 if kind == "tanh" else 0.0
                    edge = (rows < low + 0.02) | (rows > 0.98)
                    saturated[layer.name] = float(edge.mean())
                spread = out.reshape(len(out), -1).std(0).mean()
                if spread < 1e-3 * (size[layer.name] + 1e-12):
                    flat.append(layer.name)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), weight)
    variables = model.trainable_variables
    grads = tape.gradient(loss, variables)
    gradient, total = {}, 0.0
    by_id = {id(v): g for v, g in zip(variables, grads, strict=True) if g is not None}
    for g in by_id.values():
        total += float(tf.reduce_sum(tf.square(tf.convert_to_tensor(g))))
    for layer in flat_layers(model):
        kernel = kernel_of(layer)
        if kernel is not None and id(kernel) in by_id:
            g = np.asarray(tf.convert_to_tensor(by_id[id(kernel)]), "float64")
            value = array_of(kernel)
            scale = float(np.linalg.norm(value)) + 1e-12
            gradient[layer.name] = float(np.linalg.norm(g)) / scale
    return LayerReading(dead, saturated, flat, size, gradient, float(np.sqrt(total)))
