"""Changes to the layers of a network, each of one kind."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.interventions._intervention import Edit, Intervention
from kcnn.callbacks.doctor.program.copies import changed
from kcnn.callbacks.doctor.program.graph import (
    flat_layers,
    is_norm,
    is_random,
    kernel_of,
    layer_activation,
    runs_away,
)
from kcnn.callbacks.doctor.program.residual import branch_ends

__all__ = [
    "bare_end", "bounded", "damped", "deeper", "leaky", "rectified", "regularizes", "relaxed",
    "thawed", "unnormed", "unstrided", "untransformed", "wider",
]  # fmt: skip

WIDTH, FILTERS = 64, 16  # of a layer that is no bottleneck for the small tasks of a trial


def network_edit(tried: str, advice: str) -> Callable[[Callable[[Any], Any]], Intervention]:
    """Make an intervention of a function `build(model)` that answers `edit(layer)`.

    An edit answers the layer in place of the given one, or None to leave it as it is.
    """
    return lambda build: Intervention(edit=Edit(tried, advice, build))


def layer_edit(tried: str, advice: str) -> Callable[[Callable[[Any], Any]], Intervention]:
    """Make an intervention of an edit that looks at each layer by itself."""
    return lambda edit: Intervention(edit=Edit(tried, advice, lambda model: edit))


def regularizes(layer: Any) -> bool:
    """Whether a layer drops, adds noise or carries a penalty."""
    assert relaxed.edit is not None
    return relaxed.edit.build(None)(layer) is not None


@network_edit("relu in the hidden layers", "Use activation='relu' in the hidden layers.")
def rectified(model):
    last = _last_kernel(model)
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


@network_edit(
    "leaky relu in place of relu", "Use 'leaky_relu' in place of 'relu', or a lower rate."
)
def leaky(model):
    names = [layer.name for layer in flat_layers(model)]

    def edit(layer):
        if layer_activation(layer) != "relu" or layer.name == names[-1]:
            return None
        if type(layer).__name__ == "ReLU":
            return changed(layer, negative_slope=0.1)
        return changed(layer, activation="leaky_relu")

    return edit


@layer_edit(
    "dropout, noise and penalties taken out",
    "Take dropout, noise and penalties out, then bring them back in small steps.",
)
def relaxed(layer):
    name = type(layer).__name__
    if "Dropout" in name:
        return changed(layer, rate=0.0)
    if name == "GaussianNoise":
        return changed(layer, stddev=0.0)
    names = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")
    if any(getattr(layer, key, None) is not None for key in names):
        return changed(layer, **dict.fromkeys(names))
    return None


@layer_edit(
    "the random transforms taken out",
    "Remove the random transforms, or restrict them to changes that keep the label.",
)
def untransformed(layer):
    if is_random(layer):
        return keras.layers.Identity(name=layer.name)
    return None


@network_edit(
    f"hidden layers of at least {WIDTH} units or {FILTERS} filters",
    f"Widen the narrow layers to {WIDTH} units or {FILTERS} filters.",
)
def wider(model):
    last = _last_kernel(model)

    def edit(layer):
        if layer.name == last or kernel_of(layer) is None:
            return None
        if getattr(layer, "units", WIDTH) < WIDTH and "Dense" in type(layer).__name__:
            return changed(layer, units=WIDTH)
        if getattr(layer, "filters", FILTERS) < FILTERS:
            return changed(layer, filters=FILTERS)
        return None

    return edit


@network_edit(
    "strides and poolings taken out until 4x4 places are left",
    "Use fewer strides and poolings: leave at least 4x4 places.",
)
def unstrided(model):
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


@layer_edit("all layers trainable", "Set layer.trainable = True before compile.")
def thawed(layer):
    new = changed(layer)
    new.trainable = False  # or setting True where it is True already stops at the outermost
    new.trainable = True
    return new


@layer_edit(
    "LayerNormalization in place of BatchNormalization",
    "Use LayerNormalization or GroupNormalization in place of BatchNormalization.",
)
def unnormed(layer):
    if type(layer).__name__ == "BatchNormalization":
        return keras.layers.LayerNormalization(axis=layer.axis, name=layer.name)
    return None


@layer_edit("tanh in the recurrent layers", "Use tanh in the recurrent layers.")
def bounded(layer):
    return changed(layer, activation="tanh") if isinstance(layer, keras.layers.RNN) else None


@network_edit(
    "nothing between the last kernel and the output",
    "Remove normalization and dropout behind the last Dense layer.",
)
def bare_end(model):
    after = {v.name for v in _after(flat_layers(model), _last_kernel(model))}

    def edit(layer):
        if layer.name in after and (is_norm(layer) or "Dropout" in type(layer).__name__):
            return keras.layers.Identity(name=layer.name)
        return None

    return edit


@network_edit(
    f"a hidden layer of {WIDTH} relu units added", f"Add a hidden layer of {WIDTH} relu units."
)
def deeper(model):
    last = _last_kernel(model)

    def edit(layer):
        if layer.name != last or type(layer).__name__ != "Dense":
            return None
        return keras.Sequential(
            [keras.layers.Dense(WIDTH, activation="relu"), changed(layer)], name=layer.name
        )

    return edit


@network_edit(
    "each residual branch divided by their number",
    "Put a normalization layer into each residual branch, or start its last layer at zero.",
)
def damped(model):
    names = [layer.name for layer in branch_ends(model)]

    def edit(layer):
        if layer.name not in names:
            return None
        small = keras.layers.Rescaling(1 / len(names))
        return keras.Sequential([changed(layer), small], name=layer.name)

    return edit


def _after(layers: list[Any], name: str | None) -> list[Any]:
    names = [layer.name for layer in layers]
    return layers[names.index(name) + 1 :] if name in names else []


def _last_kernel(model: keras.Model) -> str | None:
    kernels = [layer.name for layer in flat_layers(model) if kernel_of(layer) is not None]
    return kernels[-1] if kernels else None
