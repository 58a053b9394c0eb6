"""Layers that cannot do their work: linear stacks, frozen or strangled layers, odd norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._static_layers import (
    judge_end,
    judge_norms,
    judge_penalties,
    judge_recurrent,
    judge_saturation,
)
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.graph import (
    bends,
    flat_layers,
    followers,
    kernel_of,
    known_graph,
    layer_activation,
)
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.keras_internals import array_of

__all__ = ["judge_body"]


def judge_body(
    model: keras.Model, *, batch_size: int, classes: int, classifies: bool, head: HeadFacts
) -> Iterator[Suspect]:
    """Suspicions that the layers alone raise."""
    layers = flat_layers(model)
    if known_graph(model):
        yield from _linear(model, layers)
        yield from _narrow(model, layers, classes, classifies)
    yield from _frozen(model, layers)
    yield from judge_penalties(layers)
    yield from judge_norms(layers, batch_size)
    yield from judge_saturation(layers)
    yield from judge_end(head)
    yield from judge_recurrent(layers)


def _next_kernels(layer: Any, depth: int = 0) -> Iterator[Any]:
    """Layers with kernels that see this layer's output through linear maps alone."""
    for op in followers(layer):
        if not isinstance(op, keras.layers.Layer) or depth > 24:
            continue
        if kernel_of(op) is not None:
            yield op
        elif not bends(op):
            yield from _next_kernels(op, depth + 1)


def _linear(model: Any, layers: list[Any]) -> Iterator[Suspect]:
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
    calls = [op for op in getattr(model, "_operations", []) if op not in layers]
    nonlinear = sum(
        layer_activation(op) not in (None, "linear") or isinstance(op, keras.layers.RNN)
        for op in [*layers[:-1], *calls]
    )
    alone = nonlinear == 0
    yield Suspect(
        "missing_hidden_activation",
        0.89 if alone else 0.7 if share > 0.5 else 0.45,
        f"{len(bare)} of {hidden} hidden layers have no activation "
        f"({', '.join(layer.name for layer in bare[:4])})",
        "a non-linearity between layers with kernels",
        "Add activation='relu' to the hidden layers.",
        where=bare[0].name,
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
    else:
        yield from _small_maps(model, layers)
    widths = [(int(kernel_of(layer).shape[-1]), layer) for layer in kernels[:-1]]
    widths = [(w, layer) for w, layer in widths if type(layer).__name__ != "DepthwiseConv2D"]
    if widths:
        width, layer = min(widths, key=lambda item: item[0])
        enough = max(2, min(classes, 8)) if classifies else 2
        if width < enough:
            yield Suspect(
                "insufficient_capacity",
                0.7 if width * 2 <= enough else 0.5,
                f"only {width} {'unit' if width == 1 else 'units'} in {layer.name}",
                f"{enough} or more: all that the {classes} outputs know passes through it",
                f"Widen {layer.name}.",
                where=layer.name,
                check="layers",
            )


def _small_maps(model: Any, layers: list[Any]) -> Iterator[Suspect]:
    """Images of which strides and poolings leave few positions: a trial tells if it hurts."""
    entry = getattr(model, "input_shape", None)
    if not isinstance(entry, tuple) or len(entry) != 4 or None in entry[1:]:
        return
    shapes: list[Any] = [getattr(getattr(layer, "output", None), "shape", ()) for layer in layers]
    maps = [(shape, layer) for shape, layer in zip(shapes, layers, strict=True) if len(shape) == 4]
    if not maps or None in maps[-1][0][1:]:
        return
    shape, layer = maps[-1]
    left = int(np.prod(shape[1:-1]))
    if left <= 4 and int(np.prod(entry[1:-1])) >= 36:
        yield Suspect(
            "insufficient_capacity",
            0.55 if left == 1 else 0.4,
            f"the map is down to {shape[1]}x{shape[2]} after {layer.name}",
            "several positions left for the last layers",
            "Use fewer strides or poolings so that the maps do not shrink to nothing.",
            where=layer.name,
            check="layers",
        )


def _frozen(model: Any, layers: list[Any]) -> Iterator[Suspect]:
    yield from _frozen_tables(layers)
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


def _frozen_tables(layers: list[Any]) -> Iterator[Suspect]:
    """Embeddings that stay what Keras drew: uniform in -0.05..0.05."""
    for layer in layers:
        if not isinstance(layer, keras.layers.Embedding) or layer.trainable or not layer.built:
            continue
        table = np.asarray(array_of(layer.embeddings), "float64")
        if np.abs(table).max() <= 0.05 and abs(table.std() * np.sqrt(12) / 0.1 - 1) < 0.1:
            yield Suspect(
                "frozen_layers",
                0.85,
                f"{layer.name} is frozen at its random start",
                "frozen layers hold trained weights",
                f"Set {layer.name}.trainable = True before compile, or load trained vectors.",
                where=layer.name,
                check="layers",
            )
            return


def _untrained(layer: Any) -> bool:
    """Bias still exactly zero and the kernel spread as its initializer spreads it."""
    bias = getattr(layer, "bias", None)
    if bias is not None and np.any(array_of(bias) != 0):
        return False
    kernel = np.asarray(array_of(kernel_of(layer)), "float64")
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
