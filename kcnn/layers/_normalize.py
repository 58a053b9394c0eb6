"""The arithmetic of group normalization, on `keras.ops`."""

from keras import ops

__all__ = ["group_normalize"]


def group_normalize(x, gamma, beta, *, groups, axis, epsilon):
    """gamma * (x - mean) / sqrt(var + epsilon) + beta, statistics per sample and group.

    Args:
        x: (batch, *space) with the channels at `axis`.
        gamma, beta: (channels,) or None.
        groups: number of groups; divides the channels.
        axis: the channel axis, not 0.
        epsilon: added to the variance.

    Returns:
        float32 (float64 for float64) of the shape of `x`.

    Sums run over one spatial axis after the other, per channel, and the groups are joined
    on the small (batch, channels) rest: short sums keep the accuracy that one long float32
    sum loses. The variance takes a second pass over x - mean: E[x^2] - E[x]^2 would cancel.
    """
    axis = axis % len(x.shape)
    channels = x.shape[axis]
    space = [i for i in range(1, len(x.shape)) if i != axis]
    x = ops.cast(x, "float64" if str(x.dtype).endswith("float64") else "float32")
    ones = [1] * len(space)

    def wide(small):
        """(batch or 1, channels) -> broadcastable to x."""
        shape = [-1, *ones]
        shape.insert(axis, channels)
        return ops.reshape(small, shape)

    def group_mean(values):
        for i in space:
            values = ops.mean(values, axis=i, keepdims=True)
        values = ops.reshape(values, (-1, groups, channels // groups))
        values = ops.mean(values, axis=-1, keepdims=True)
        return ops.reshape(ops.repeat(values, channels // groups, axis=-1), (-1, channels))

    x = x - wide(group_mean(x))
    inv = ops.rsqrt(group_mean(ops.square(x)) + epsilon)
    if gamma is not None:
        inv = inv * ops.cast(gamma, x.dtype)
    x = x * wide(inv)
    return x if beta is None else x + wide(ops.cast(beta, x.dtype))
