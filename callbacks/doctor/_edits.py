"""Mended copies: the same network with one kind of layer changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.copies import changed
from kcnn.callbacks.doctor.program.graph import (
    flat_layers,
    is_norm,
    is_random,
    kernel_of,
    layer_activation,
    runs_away,
)
from kcnn.callbacks.keras_internals import array_of

__all__ = [
    "bare_end",
    "bounded",
    "deeper",
    "fresh_kernels",
    "leaky",
    "rectified",
    "relaxed",
    "still",
    "thawed",
    "unnormed",
    "unstrided",
    "wider",
]


def rectified(model: keras.Model) -> Callable[[Any], Any]:
    """Hidden layers get relu: saturating ones, and kernels that had no activation."""
    kernels = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    last = kernels[-1].name if kernels else None
    after = {layer.name for layer in _after(flat_layers(model), last)}

    def edit(layer):
        kind = layer_activation(layer)
        if layer.name == last or layer.name in after or kind is None:
            return None
        saturates = kind in ("sigmoid", "tanh", "softmax", "hard_sigmoid", "softsign")
        if (saturates or runs_away(layer)) or (kind == "linear" and kernel_of(layer) is not None):
            return changed(layer, activation="relu")
        return None

    return edit


def leaky(model: keras.Model) -> Callable[[Any], Any]:
    """relu becomes leaky relu in hidden layers."""
    names = [layer.name for layer in flat_layers(model)]

    def edit(layer):
        if layer_activation(layer) != "relu" or layer.name == names[-1]:
            return None
        if type(layer).__name__ == "ReLU":
            return changed(layer, negative_slope=0.1)
        return changed(layer, activation="leaky_relu")

    return edit


def relaxed(layer: Any) -> Any:
    """No dropout, no noise, no penalties."""
    name = type(layer).__name__
    if "Dropout" in name:
        return changed(layer, rate=0.0)
    if name == "GaussianNoise":
        return changed(layer, stddev=0.0)
    names = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")
    if any(getattr(layer, key, None) is not None for key in names):
        return changed(layer, **dict.fromkeys(names))
    return None


def still(layer: Any) -> Any:
    """No random augmentation."""
    if is_random(layer):
        return keras.layers.Identity(name=layer.name)
    return None


def wider(model: keras.Model) -> Callable[[Any], Any]:
    """Hidden layers of at least 64 units, convolutions of at least 16 filters."""
    kernels = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    last = kernels[-1].name if kernels else None

    def edit(layer):
        if layer.name == last or kernel_of(layer) is None:
            return None
        if getattr(layer, "units", 64) < 64 and "Dense" in type(layer).__name__:
            return changed(layer, units=64)
        if getattr(layer, "filters", 16) < 16:
            return changed(layer, filters=16)
        return None

    return edit


def unstrided(model: keras.Model) -> Callable[[Any], Any]:
    """Maps stay larger: halved twice at most, and not below 4x4; convolutions padded."""
    entry = getattr(model, "input_shape", None)
    sides = [n for n in entry[1:-1] if n] if isinstance(entry, tuple) else []
    most = min(2, int(np.log2(max(min(sides, default=16), 4) / 4)))
    kept: list[str] = []
    for layer in flat_layers(model):
        strides = getattr(layer, "strides", 1)
        many = max(strides if isinstance(strides, (list, tuple)) else [strides]) > 1
        if many and len(kept) < most:
            kept.append(layer.name)

    def edit(layer):
        name = type(layer).__name__
        strides = getattr(layer, "strides", None)
        two = [min(s, 2) for s in strides] if isinstance(strides, (list, tuple)) else strides
        if name.startswith(("MaxPooling", "AveragePooling")):
            if layer.name not in kept:
                return keras.layers.Identity(name=layer.name)
            size = [min(int(s), 2) for s in np.ravel(layer.pool_size)]
            return changed(layer, pool_size=tuple(size), strides=two)
        if strides is None or kernel_of(layer) is None or "Transpose" in name:
            return None
        one = two if layer.name in kept else [1] * len(strides)
        return changed(layer, strides=one, padding="same")

    return edit


def thawed(layer: Any) -> Any:
    """Trainable again."""
    new = changed(layer)
    new.trainable = True
    return new


def unnormed(layer: Any) -> Any:
    """Batch statistics replaced by each sample's own."""
    if type(layer).__name__ == "BatchNormalization":
        return keras.layers.LayerNormalization(axis=layer.axis, name=layer.name)
    return None


def bounded(layer: Any) -> Any:
    """tanh in recurrent layers."""
    return changed(layer, activation="tanh") if isinstance(layer, keras.layers.RNN) else None


def bare_end(model: keras.Model) -> Callable[[Any], Any]:
    """No normalization and no dropout behind the last kernel."""
    kernels = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    after = {v.name for v in _after(flat_layers(model), kernels[-1].name if kernels else None)}

    def edit(layer):
        if layer.name in after and (is_norm(layer) or "Dropout" in type(layer).__name__):
            return keras.layers.Identity(name=layer.name)
        return None

    return edit


def deeper(model: keras.Model) -> Callable[[Any], Any]:
    """A hidden layer before the only Dense layer of a linear model."""
    kernels = [layer for layer in flat_layers(model) if kernel_of(layer) is not None]
    last = kernels[-1].name if kernels else None

    def edit(layer):
        if layer.name != last or type(layer).__name__ != "Dense":
            return None
        return keras.Sequential(
            [keras.layers.Dense(64, activation="relu"), changed(layer)], name=layer.name
        )

    return edit


def fresh_kernels(model: keras.Model, seed: int = 0) -> list[np.ndarray]:
    """Values of all variables with kernels drawn anew (He normal) and biases at zero."""
    rng = np.random.default_rng(seed)
    kernels = {id(kernel_of(v)) for v in flat_layers(model) if kernel_of(v) is not None}
    biases = {
        id(layer.bias)
        for layer in flat_layers(model)
        if kernel_of(layer) is not None and getattr(layer, "bias", None) is not None
    }
    values = []
    for variable in model.variables:
        value = array_of(variable)
        if id(variable) in kernels:
            fan_in = int(np.prod(value.shape[:-1]))
            fan_out = int(value.shape[-1])
            spread = np.sqrt(2.0 / max((fan_in + fan_out) / 2, 1))
            value = rng.normal(0, spread, value.shape).astype(value.dtype)
        elif id(variable) in biases:
            value = np.zeros_like(value)
        values.append(value)
    return values


def _after(layers: list[Any], name: str | None) -> list[Any]:
    names = [layer.name for layer in layers]
    return layers[names.index(name) + 1 :] if name in names else []
