"""The end of a network: how many outputs, squashed how, and how often."""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import is_norm, kernel_of, known_graph, layer_activation
from kcnn.callbacks.keras_internals import origin_of

__all__ = ["HeadFacts", "read_head"]


@dataclasses.dataclass(frozen=True)
class HeadFacts:
    """What stands between the last kernel and the loss.

    Args:
        activations: Non-linear activations, the outermost first; empty for raw scores.
        units: Size of the last axis.
        rank: Rank of the output with the batch axis.
        layer: Name of the layer that squashes (or of the last layer with a kernel).
        norm: Name of a normalization layer between the last kernel and the output.
        dropout: Name of a dropout layer in the same place.
        low, high: Smallest and largest output before training.
        seen: True when read from the graph, False when guessed from outputs.
    """

    activations: tuple[str, ...]
    units: int
    rank: int
    layer: str | None = None
    norm: str | None = None
    dropout: str | None = None
    seen: bool = True
    low: float = 0.0
    high: float = 0.0

    @property
    def activation(self) -> str:
        return self.activations[0] if self.activations else "linear"


def read_head(model: keras.Model, outputs: np.ndarray, tensor: Any = None) -> HeadFacts:
    """Facts about one output of a model; `outputs` (n, ..., units) are its predictions.

    `tensor` is that output in the graph where the model has several.
    """
    finite = outputs[np.isfinite(outputs)]
    ends: dict[str, Any] = {
        "low": float(finite.min()) if finite.size else 0.0,
        "high": float(finite.max()) if finite.size else 0.0,
    }
    units, rank = int(outputs.shape[-1]) if outputs.ndim > 1 else 1, outputs.ndim
    if tensor is None and known_graph(model) and len(model.outputs) == 1:
        tensor = model.outputs[0]
    if tensor is not None:
        found = _walk(tensor)
        if found is not None:
            return HeadFacts(units=units, rank=rank, **found, **ends)
    return HeadFacts(_guess(outputs), units, rank, seen=False, **ends)


def _walk(tensor: Any) -> dict[str, Any] | None:
    kinds: list[str] = []
    facts: dict[str, Any] = {"layer": None, "norm": None, "dropout": None}
    for _ in range(32):
        origin = origin_of(tensor)
        if origin is None:
            return None
        layer, inputs, place = origin
        if isinstance(layer, keras.Model):
            if not known_graph(layer):
                return None
            tensor = layer.outputs[place]
            continue
        kind = layer_activation(layer)
        if kind not in (None, "linear"):
            kinds.append(str(kind))
            facts["layer"] = facts["layer"] or layer.name
        if is_norm(layer):
            facts["norm"] = layer.name
        if "Dropout" in type(layer).__name__:
            facts["dropout"] = layer.name
        if kernel_of(layer) is not None or isinstance(layer, keras.layers.RNN) or len(inputs) != 1:
            facts["layer"] = facts["layer"] or layer.name
            known = kernel_of(layer) is not None or len(inputs) > 1 or kinds
            return {"activations": tuple(kinds), **facts} if known else None
        tensor = inputs[0]
    return None


def _guess(outputs: np.ndarray) -> tuple[str, ...]:
    """What the last activation must be, by the values that come out."""
    out = np.asarray(outputs, "float64").reshape(-1, outputs.shape[-1])
    if not np.isfinite(out).all() or not len(out):
        return ()
    if out.min() >= 0 and np.allclose(out.sum(-1), 1, atol=1e-3):
        if out.shape[-1] > 1 or np.ptp(out) == 0:
            return ("softmax",)
    inside = out.min() > 0 and out.max() < 1
    if inside and out.size >= 8:
        return ("sigmoid",)
    if out.min() >= 0 and (out == 0).mean() > 0.05 and np.ptp(out) > 0:
        return ("relu",)
    return ()
