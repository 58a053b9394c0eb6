"""Layers that cannot do their work: linear stacks, frozen or strangled layers, odd norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._graph import (
    bends,
    flat_layers,
    followers,
    is_norm,
    kernel_of,
    known_graph,
    layer_activation,
)
from kcnn.callbacks.doctor._suspect import Suspect

__all__ = ["judge_body"]


def judge_body(
    model: keras.Model, *, batch_size: int, classes: int, classifies: bool
) -> Iterator[Suspect]:
    """Suspicions that the layers alone raise."""
    layers = flat_layers(model)
    if known_graph(model):
        yield from _linear(layers)
        yield from _narrow(model, layers, classes, classifies)
    yield from _frozen(model, layers)
    yield from _penalties(layers)
    yield from _norms(model, layers, batch_size)
    yield from _saturating(layers)


def _next_kernels(layer: Any, depth: int = 0) -> Iterator[Any]:
    """Layers with kernels that see this layer's output through linear maps alone."""
    for op in followers(layer):
        if not isinstance(op, keras.layers.Layer) or depth > 24:
            continue
        if kernel_of(op) is not None:
            yield op
        elif not bends(op):
            yield from _next_kernels(op, depth + 1)


def _linear(layers: list[Any]) -> Iterator[Suspect]:
    kernels = [layer for layer in layers if kernel_of(layer) is not None]
    bare = [
        layer
        for layer in kernels
        if layer_activation(layer) == "linear" and any(True for _ in _next_kernels(layer))
    ]
    hidden = max(len(kernels) - 1, 1)
    if not bare:
        return
    share = len(bare) / hidden
    nonlinear = sum(layer_activation(layer) not in (None, "linear") for layer in layers[:-1]) + sum(
        isinstance(layer, keras.layers.RNN) for layer in layers
    )
    alone = len(bare) == hidden or nonlinear == 0
    yield Suspect(
        "missing_hidden_activation",
        1.0 if alone else 0.7 if share > 0.5 else 0.45,
        f"{len(bare)} of {hidden} hidden layers have no activation "
        f"({', '.join(layer.name for layer in bare[:4])})",
        "a non-linearity between layers with kernels",
        "Add activation='relu' to the hidden layers.",
        where=bare[0].name,
        firm=alone,
        check="layers",
        evidence={"layers": [layer.name for layer in bare]},
    )


def _narrow(model: Any, layers: list[Any], classes: int, classifies: bool) -> Iterator[Suspect]:
    kernels = [layer for layer in layers if kernel_of(layer) is not None]
    convs = [layer for layer in kernels if len(kernel_of(layer).shape) == 4]
    for layer in convs[1:]:
        shape = getattr(layer, "output", None)
        before = getattr(layer, "input", None)
        if shape is None or before is None or len(shape.shape) != 4:
            continue
        axes = (2, 3) if layer.data_format == "channels_first" else (1, 2)
        size = [before.shape[axis] for axis in axes]
        if None in size or max(size) > 1 or max(layer.kernel_size) == 1:
            continue
        yield Suspect(
            "insufficient_capacity",
            0.6,
            f"the map is down to 1x1 before {layer.name}",
            "several positions left for the last convolutions",
            "Use fewer strides or poolings so that the maps do not shrink to one pixel.",
            where=layer.name,
            check="layers",
        )
        break
    widths = [(int(kernel_of(layer).shape[-1]), layer) for layer in kernels[:-1]]
    widths = [(w, layer) for w, layer in widths if type(layer).__name__ != "DepthwiseConv2D"]
    if widths:
        width, layer = min(widths, key=lambda item: item[0])
        enough = max(2, min(classes, 8)) if classifies else 2
        if width < enough:
            yield Suspect(
                "insufficient_capacity",
                0.7 if width * 2 <= enough else 0.5,
                f"only {width} units in {layer.name}",
                f"at least as many as the {classes} outputs need",
                f"Widen {layer.name}.",
                where=layer.name,
                check="layers",
            )


def _frozen(model: Any, layers: list[Any]) -> Iterator[Suspect]:
    holders = [layer for layer in layers if kernel_of(layer) is not None]
    frozen = [layer for layer in holders if not kernel_of(layer).trainable]
    if not model.trainable_variables and model.weights:
        yield Suspect(
            "frozen_layers",
            1.0,
            "no layer is trainable",
            "layers that learn",
            "Set layer.trainable = True before model.compile(...).",
            where=holders[0].name if holders else None,
            firm=True,
            check="layers",
        )
        return
    raw = [layer for layer in frozen if _untrained(layer)]
    if not raw:
        return
    count = sum(int(np.prod(kernel_of(layer).shape)) for layer in raw)
    total = sum(int(np.prod(kernel_of(layer).shape)) for layer in holders)
    last = holders[-1] in raw
    yield Suspect(
        "frozen_layers",
        0.9 if last or len(raw) * 2 >= len(holders) or count * 2 >= total else 0.6,
        f"{len(raw)} of {len(holders)} layers are frozen at their random start "
        f"({', '.join(layer.name for layer in raw[:4])})",
        "frozen layers hold trained weights",
        f"Set {raw[0].name}.trainable = True before compile, or load trained weights.",
        where=raw[0].name,
        firm=last or len(raw) * 2 >= len(holders),
        check="layers",
        evidence={"frozen_share": count / max(total, 1)},
    )


def _untrained(layer: Any) -> bool:
    """Bias still exactly zero and the kernel spread as its initializer spreads it."""
    bias = getattr(layer, "bias", None)
    if bias is not None and np.any(keras.ops.convert_to_numpy(bias) != 0):
        return False
    kernel = np.asarray(keras.ops.convert_to_numpy(kernel_of(layer)), "float64")
    if bias is None and kernel.size < 64:
        return False
    fan_in, fan_out = int(np.prod(kernel.shape[:-1])), kernel.shape[-1]
    fan_out *= int(np.prod(kernel.shape[:-2])) if kernel.ndim > 2 else 1
    init = type(getattr(layer, "kernel_initializer", None)).__name__
    wide = {
        "GlorotUniform": 2.0 / (fan_in + fan_out),
        "GlorotNormal": 2.0 / (fan_in + fan_out),
        "HeNormal": 2.0 / fan_in,
        "HeUniform": 2.0 / fan_in,
        "LecunNormal": 1.0 / fan_in,
        "KaimingNormal": 2.0 / fan_in,
    }.get(init)
    if wide is None:
        return bias is not None
    tolerance = 4.0 / np.sqrt(kernel.size) + 0.08
    if abs(kernel.std() / np.sqrt(wide) - 1) > tolerance:
        return False
    if "Uniform" in init:
        return bool(np.abs(kernel).max() <= np.sqrt(3 * wide) * 1.0001)
    return True


def _penalties(layers: list[Any]) -> Iterator[Suspect]:
    strong = []
    for layer in layers:
        rate = getattr(layer, "rate", None)
        if "Dropout" in type(layer).__name__ and isinstance(rate, (int, float)) and rate >= 0.7:
            strong.append((rate, layer, f"dropout of {rate:g}"))
        noise = getattr(layer, "stddev", None)
        if type(layer).__name__ == "GaussianNoise" and noise is not None and noise >= 1.0:
            strong.append((0.8, layer, f"noise of {noise:g}"))
        for name in ("kernel_regularizer", "activity_regularizer", "bias_regularizer"):
            penalty = getattr(layer, name, None)
            size = max(
                float(getattr(penalty, "l1", 0) or 0) * 3, float(getattr(penalty, "l2", 0) or 0)
            )
            if size >= 0.03:
                strong.append((min(0.9, 0.7 + size / 5), layer, f"{name} of {size:g}"))
    if strong:
        top, layer, words = max(strong, key=lambda item: item[0])
        yield Suspect(
            "excessive_regularization",
            0.85 if top >= 0.85 else 0.6,
            f"{words} in {layer.name}",
            "dropout up to 0.5, penalties around 1e-4",
            f"Lower it in {layer.name}.",
            where=layer.name,
            check="layers",
        )


def _norms(model: Any, layers: list[Any], batch_size: int) -> Iterator[Suspect]:
    batch = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    if batch and batch_size <= 2 and any(layer.trainable for layer in batch):
        yield Suspect(
            "bad_normalization",
            0.97,
            f"batch statistics over {batch_size} sample{'s' if batch_size > 1 else ''}",
            "at least 8 samples a batch for BatchNormalization",
            "Raise batch_size to 32, or use GroupNormalization.",
            where=batch[0].name,
            firm=True,
            check="layers",
            evidence={"batch_size": batch_size},
        )
    for layer in layers:
        if not is_norm(layer) or type(layer).__name__ == "BatchNormalization":
            continue
        size = _values_in_a_group(layer)
        if size == 1:
            yield Suspect(
                "bad_normalization",
                0.97,
                f"{layer.name} normalises groups of one value: its output is constant",
                "several values in a group",
                "Use fewer groups, or BatchNormalization there.",
                where=layer.name,
                firm=True,
                check="layers",
            )
            break


def _values_in_a_group(layer: Any) -> int | None:
    shape = getattr(getattr(layer, "input", None), "shape", None)
    if shape is None or None in shape[1:]:
        return None
    kind = type(layer).__name__
    axis = getattr(layer, "axis", -1)
    if kind in ("GroupNormalization", "GroupNorm", "InstanceNorm"):
        axis = axis if isinstance(axis, int) else axis[0]
        channels = shape[axis]
        groups = channels if kind == "InstanceNorm" else getattr(layer, "groups", 32)
        groups = channels if groups == -1 else groups
        return int(np.prod(shape[1:])) // int(groups)
    if kind == "LayerNormalization":
        axes = [axis] if isinstance(axis, int) else list(axis)
        return int(np.prod([shape[a] for a in axes]))
    return None


def _saturating(layers: list[Any]) -> Iterator[Suspect]:
    kinds = [layer_activation(layer) for layer in layers]
    hidden = [
        (layer, kind)
        for layer, kind in zip(layers[:-1], kinds[:-1], strict=True)
        if kind in ("sigmoid", "tanh", "softmax", "hard_sigmoid", "softsign", "exponential")
    ]
    normed = any(is_norm(layer) for layer in layers)
    soft = [layer for layer, kind in hidden if kind == "softmax"]
    if soft and len([k for k in kinds if k == "softmax"]) > 1:
        yield Suspect(
            "vanishing_gradient",
            0.5,
            f"softmax inside the network ({soft[0].name})",
            "softmax only at the end",
            f"Change the activation of {soft[0].name} to 'relu'.",
            where=soft[0].name,
            check="layers",
        )
    sig = [layer for layer, kind in hidden if kind in ("sigmoid", "hard_sigmoid")]
    if len(sig) >= 2 and not normed:
        yield Suspect(
            "vanishing_gradient",
            0.5 + 0.1 * min(len(sig) - 2, 3),
            f"{len(sig)} hidden layers of sigmoid, whose slope is at most 1/4",
            "relu in hidden layers",
            "Change the hidden activations to 'relu'.",
            where=sig[0].name,
            check="layers",
        )
    tanh = [layer for layer, kind in hidden if kind == "tanh"]
    if len(tanh) >= 4 and not normed:
        yield Suspect(
            "vanishing_gradient",
            0.35,
            f"{len(tanh)} hidden layers of tanh",
            "relu in hidden layers",
            "Change the hidden activations to 'relu'.",
            where=tanh[0].name,
            check="layers",
        )
