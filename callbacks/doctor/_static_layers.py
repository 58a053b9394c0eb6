"""Layers that strangle: strong penalties, norms that cannot work, saturating stacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.graph import (
    activation_kind,
    is_norm,
    layer_activation,
    runs_away,
)
from kcnn.callbacks.doctor.program.head import HeadFacts

__all__ = [
    "judge_end",
    "judge_norms",
    "judge_penalties",
    "judge_recurrent",
    "judge_saturation",
]


def judge_penalties(layers: list[Any]) -> Iterator[Suspect]:
    """Dropout, noise or penalties far beyond what is usual."""
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


def judge_norms(layers: list[Any], batch_size: int) -> Iterator[Suspect]:
    """Batch statistics over one or two samples, groups of one value."""
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


def judge_saturation(layers: list[Any]) -> Iterator[Suspect]:
    """Hidden stacks of sigmoid, tanh or softmax without normalization."""
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
    wild = [layer for layer in layers[:-1] if runs_away(layer)]
    if wild:
        yield Suspect(
            "exploding_gradient",
            0.6,
            f"the activation of {wild[0].name} grows faster than its input",
            "relu in hidden layers",
            f"Change the activation of {wild[0].name} to 'relu'.",
            where=wild[0].name,
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


def judge_end(head: HeadFacts) -> Iterator[Suspect]:
    """Layers between the last kernel and the output that disturb the answer itself."""
    if head.norm is not None:
        yield Suspect(
            "bad_normalization",
            0.6,
            f"{head.norm} normalises the outputs themselves",
            "normalization between hidden layers only",
            f"Remove {head.norm}.",
            where=head.norm,
            check="layers",
        )
    if head.dropout is not None:
        yield Suspect(
            "excessive_regularization",
            0.85,
            f"{head.dropout} drops the outputs themselves",
            "dropout between hidden layers only",
            f"Remove {head.dropout}.",
            where=head.dropout,
            check="layers",
        )


def judge_recurrent(layers: list[Any]) -> Iterator[Suspect]:
    """Recurrent layers whose states may grow with time."""
    for layer in layers:
        cell = getattr(layer, "cell", layer)
        if not isinstance(layer, keras.layers.RNN) or not hasattr(cell, "activation"):
            continue
        kind = activation_kind(cell.activation)
        if kind in ("sigmoid", "tanh", "softmax"):
            continue
        yield Suspect(
            "exploding_gradient",
            0.55,
            f"{kind} in {layer.name}: its states may grow with every step of time",
            "tanh in recurrent layers",
            f"Remove activation={kind!r} from {layer.name}, or set clipnorm=1.0 in the optimizer.",
            where=layer.name,
            check="layers",
        )
        break
