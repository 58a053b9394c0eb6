"""What a normalization kernel has to know besides its tensors."""

from typing import NamedTuple

import keras
from keras import ops

from kcnn.layers.group_norm.activation import derivative, pointwise

__all__ = [
    "NormSpec",
    "activation_gradient",
    "compute_type",
    "kept_for_backward",
    "per_channel",
    "reference",
]


class NormSpec(NamedTuple):
    """The constants of one normalization; hashable, so that kernels can be cached by it.

    Attributes:
        groups: divides `channels`.
        channels: length of the channel axis.
        axis: the channel axis, counted from the front.
        epsilon: added to the variance.
        activation: a name that `activation` knows.
        dtype: of the result.
    """

    groups: int
    channels: int
    axis: int
    epsilon: float
    activation: str
    dtype: str

    @property
    def depth(self):
        """Channels of a group."""
        return self.channels // self.groups


def compute_type(x):
    """The type to compute in: float32, or float64 for float64."""
    return "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "float32"


def per_channel(spec, small):
    """(batch, groups) -> (batch, channels). One product is traced faster than ops.repeat."""
    if spec.depth == 1:
        return small
    wide = ops.expand_dims(small, 2) * ops.ones((spec.depth,), small.dtype)
    return ops.reshape(wide, (-1, spec.channels))


def kept_for_backward(spec, residual, y):
    """(residual, y) with None for what the activation's gradient can do without."""
    if residual is None or spec.activation == "linear":
        return None, None
    if spec.activation == "relu":
        return None, y
    return residual, None


def activation_gradient(spec, dy, z, y):
    """dy * activation'(z); `y`, the layer's output, stands in for z where its sign is enough.

    Either of `z` (a function without arguments) and `y` may be None if not needed.
    """
    if spec.activation == "linear":
        return dy
    if spec.activation == "relu" and y is not None:
        return ops.where(y > 0, dy, ops.zeros_like(dy))
    return dy * derivative(spec.activation, z())


def reference(spec, x, gamma, beta, residual=None):
    """The formula in differentiable operations: for second derivatives and other backends."""
    kind = compute_type(x)
    space = [i for i in range(1, len(x.shape)) if i != spec.axis]
    shape = [-1, *[1] * (len(x.shape) - 1)]
    shape[spec.axis] = spec.channels

    def group_mean(values):
        for i in space:
            values = ops.mean(values, axis=i, keepdims=True)
        values = ops.mean(ops.reshape(values, (-1, spec.groups, spec.depth)), axis=-1)
        return ops.reshape(per_channel(spec, values), shape)

    x = ops.cast(x, kind)
    x = x - group_mean(x)
    x = x * ops.rsqrt(group_mean(ops.square(x)) + spec.epsilon)
    x = x * ops.reshape(ops.cast(gamma, kind), shape) + ops.reshape(ops.cast(beta, kind), shape)
    if residual is not None:
        x = x + ops.cast(residual, kind)
    return ops.cast(pointwise(spec.activation)(x), spec.dtype)
