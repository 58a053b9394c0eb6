"""What the first layer with a kernel receives, and how large it is."""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import (
    bends,
    flat_layers,
    inputs_of,
    is_norm,
    kernel_of,
    known_graph,
)
from kcnn.callbacks.keras_internals import (
    calls_of,
    followers_of,
    functional_of,
    operations_of,
    origin_of,
)

__all__ = ["first_inputs", "input_scale"]

MOST = 50_000  # rows (of pixels, too) that tell a size


def first_inputs(model: keras.Model, x: Any) -> np.ndarray | None:
    """What the first layer with a kernel receives; None when it is scale-free or unknown."""
    if not isinstance(x, np.ndarray):
        return None
    if not known_graph(model):
        first = next((v for v in flat_layers(model) if kernel_of(v) is not None), None)
        tamed = [v for v in flat_layers(model) if is_norm(v) or "Rescaling" in type(v).__name__]
        embeds = any(isinstance(v, keras.layers.Embedding) for v in flat_layers(model))
        return None if first is None or tamed or embeds else x
    for layer in model.layers:
        if is_norm(layer):
            return None
        nested = isinstance(layer, keras.Model) and any(
            kernel_of(inner) is not None for inner in flat_layers(layer)
        )
        if not nested and kernel_of(layer) is None and not isinstance(layer, keras.layers.RNN):
            if isinstance(layer, keras.layers.Embedding):
                return None
            continue
        if layer is model.layers[0] and isinstance(model, keras.Sequential):
            inside = x
        else:
            tensor = _received(model, layer)
            if tensor is None:
                return None
            probe = keras.Model(inputs_of(model), tensor)
            inside = keras.ops.convert_to_numpy(probe(x, training=False))
        if nested:
            return first_inputs(layer, inside)
        after = followers_of(layer)
        if after and all(is_norm(op) for op in after) and not bends(layer):
            return None
        return np.asarray(inside)
    return None


def _received(model: keras.Model, layer: Any) -> Any:
    """The one tensor that a layer, or a model inside, receives in this graph; None without."""
    inside = {id(operation) for operation in operations_of(functional_of(model))}
    for call in reversed(calls_of(layer)):
        tensors = list(call.input_tensors)
        origin = origin_of(tensors[0]) if len(tensors) == 1 else None
        if origin is not None and id(origin[0]) in inside:
            return tensors[0]
    return None


def input_scale(x: np.ndarray) -> dict[str, float]:
    """Size of the inputs: overall, per column, offset and how spreads differ (all unitless)."""
    flat = np.asarray(x, "float64").reshape(-1, x.shape[-1])
    if len(flat) > MOST:
        flat = flat[:: len(flat) // MOST + 1]
    flat = np.where(np.isfinite(flat), flat, 0.0)
    mean, std = flat.mean(0), flat.std(0)
    rms = np.sqrt((flat**2).mean(0))
    alive = std > 1e-12
    spread = std[alive] if alive.any() else np.array([1.0])
    return {
        "rms": float(np.sqrt((flat**2).mean())),
        "largest": float(np.abs(flat).max(initial=0)),
        "largest_column": float(rms.max(initial=0)),
        "spread_ratio": float(spread.max() / max(spread.min(), 1e-12)),
        "offset": float((np.abs(mean[alive]) / spread).max()) if alive.any() else 0.0,
    }
