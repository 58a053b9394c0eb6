"""Group normalization on whatever backend Keras runs on."""

import importlib

import keras

from kcnn.layers.group_norm.reference import reference

__all__ = ["Held", "group_normalize", "implementation"]


class Held:
    """What one layer holds of the kernels compiled for it; they go with the last layer."""

    def __init__(self):
        self.sizes = set()
        self.functions = {}


def group_normalize(spec, x, gamma, beta, residual=None, *, training=None, held=None):
    """activation(gamma * (x - mean) / sqrt(var + epsilon) + beta [+ residual]).

    Args:
        spec: a `NormSpec`.
        x: (batch, *space) with the channels at spec.axis, a floating type.
        gamma, beta: (channels,), in the type to compute in.
        residual: of x's shape, or None.
        training: whether a gradient will surely be asked for (a hint).
        held: the layer's `Held`, or None for plain operations.

    Returns:
        A tensor of x's shape and of spec.dtype.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from kcnn.layers.group_norm.tensorflow import group_normalize as run
    elif backend == "jax":
        from kcnn.layers.group_norm.jax import group_normalize as run
    elif backend == "torch":
        from kcnn.layers.group_norm.torch import group_normalize as run
    else:
        return reference(spec, x, gamma, beta, residual)
    return run(spec, x, gamma, beta, residual, training=training, held=held)


def implementation():
    """What "auto" comes to here: "compiled" kernels, "plain" operations, or torch's "native"."""
    backend = keras.backend.backend()
    if backend == "torch":
        return "native"
    if backend not in ("tensorflow", "jax"):
        return "plain"
    kernels = importlib.import_module(f"kcnn.layers.group_norm.{backend}")
    return "compiled" if kernels.compiles() else "plain"
