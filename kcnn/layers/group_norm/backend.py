"""Group normalization on whatever backend Keras runs on."""

import importlib
from typing import Any

import keras
from keras import ops

from kcnn.layers.group_norm.reference import NormSpec, reference

__all__ = ["Held", "group_normalize", "implementation"]

BACKENDS = ("tensorflow", "jax", "torch")


class Held:
    """What one layer holds of the kernels compiled for it; they go with the last layer."""

    def __init__(self) -> None:
        self.sizes: set[tuple[int, ...]] = set()
        self.functions: dict[Any, Any] = {}


def _module() -> Any:
    return importlib.import_module(f"kcnn.layers.group_norm.{keras.backend.backend()}")


def group_normalize(
    spec: NormSpec, x: Any, gamma: Any, beta: Any, *, training: bool | None, held: Held | None
) -> Any:
    """gamma * (x - mean) / sqrt(var + epsilon) + beta.

    Args:
        spec: a `NormSpec`.
        x: (batch, *space) with the channels at spec.axis, a floating type.
        gamma, beta: (channels,), in the type to compute in.
        training: whether a gradient will surely be asked for (a hint).
        held: the layer's `Held`, or None for plain operations.

    Returns:
        A tensor of x's shape and of spec.dtype.
    """
    if keras.backend.backend() not in BACKENDS:
        return reference(spec, x, gamma, beta)
    end = len(x.shape) - 1
    if spec.axis in (1, end):
        return _module().group_normalize(spec, x, gamma, beta, training=training, held=held)
    turned, last = ops.moveaxis(x, spec.axis, end), spec._replace(axis=end)
    y = group_normalize(last, turned, gamma, beta, training=training, held=held)
    return ops.moveaxis(y, end, spec.axis)


def implementation() -> str:
    """What "auto" comes to here: "compiled" kernels, "plain" operations, or torch's "native"."""
    backend = keras.backend.backend()
    if backend == "torch":
        return "native"
    return "compiled" if backend in BACKENDS and _module().compiles() else "plain"
