"""What a normalization has to know besides its tensors, and the formula itself."""

from typing import Any, NamedTuple

import keras
from keras import ops

__all__ = ["NormSpec", "compute_type", "per_channel", "reference"]


class NormSpec(NamedTuple):
    """The constants of one normalization; hashable, so that kernels can be cached by it.

    Attributes:
        groups: divides `channels`.
        channels: length of the channel axis.
        axis: the channel axis, counted from the front.
        epsilon: added to the variance.
        dtype: of the result.
    """

    groups: int
    channels: int
    axis: int
    epsilon: float
    dtype: str

    @property
    def depth(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups


def compute_type(x: Any) -> str:
    """The type to compute in: float32, or float64 for float64."""
    return "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "float32"


def per_channel(spec: NormSpec, small: Any) -> Any:
    """(batch, groups) -> (batch, channels). One product is traced faster than ops.repeat."""
    if spec.depth == 1:
        return small
    wide = ops.expand_dims(small, 2) * ops.ones((spec.depth,), small.dtype)
    return ops.reshape(wide, (-1, spec.channels))


def reference(spec: NormSpec, x: Any, gamma: Any, beta: Any) -> Any:
    """The formula in differentiable operations: for second derivatives and other backends."""
    kind = compute_type(x)
    space = [i for i in range(1, len(x.shape)) if i != spec.axis]
    shape = [-1, *[1] * (len(x.shape) - 1)]
    shape[spec.axis] = spec.channels

    def group_mean(values: Any) -> Any:
        for i in space:
            values = ops.mean(values, axis=i, keepdims=True)
        values = ops.mean(ops.reshape(values, (-1, spec.groups, spec.depth)), axis=-1)
        return ops.reshape(per_channel(spec, values), shape)

    x = ops.cast(x, kind)
    x = x - group_mean(x)
    x = x * ops.rsqrt(group_mean(ops.square(x)) + spec.epsilon)
    x = x * ops.reshape(ops.cast(gamma, kind), shape) + ops.reshape(ops.cast(beta, kind), shape)
    return ops.cast(x, spec.dtype)
