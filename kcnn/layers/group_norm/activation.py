"""Activations that a normalization can fold into its own passes, with their derivatives."""

import math

import keras
from keras import ops

__all__ = ["derivative", "pointwise", "pointwise_name"]


def _one(z):
    return ops.ones_like(z)


def _where(condition, z, yes, no):
    return ops.where(condition, ops.cast(yes, z.dtype), ops.cast(no, z.dtype))


def _silu(z):
    s = ops.sigmoid(z)
    return s * (1.0 + z * (1.0 - s))


def _gelu(z):
    cdf = 0.5 * (1.0 + ops.erf(z * math.sqrt(0.5)))
    return cdf + z * ops.exp(-0.5 * ops.square(z)) * (1.0 / math.sqrt(2.0 * math.pi))


# name -> derivative at z, the input of the activation.
_DERIVATIVES = {
    "linear": _one,
    "relu": lambda z: _where(z > 0, z, 1.0, 0.0),
    "relu6": lambda z: _where(ops.logical_and(z > 0, z < 6), z, 1.0, 0.0),
    "leaky_relu": lambda z: _where(z > 0, z, 1.0, 0.2),
    "silu": _silu,
    "gelu": _gelu,
    "tanh": lambda z: 1.0 - ops.square(ops.tanh(z)),
    "sigmoid": lambda z: ops.sigmoid(z) * (1.0 - ops.sigmoid(z)),
    "softplus": ops.sigmoid,
}


def pointwise_name(activation):
    """The name under which `activation` can be folded, or None if it can't.

    Only Keras's own functions with their default arguments count.
    """
    name = getattr(activation, "__name__", None)
    return name if name in _DERIVATIVES and pointwise(name) is activation else None


def pointwise(name):
    """The activation function of that name."""
    return keras.activations.get(name)


def derivative(name, z):
    """d activation(z) / dz, elementwise."""
    return _DERIVATIVES[name](z)
