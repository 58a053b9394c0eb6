"""Group normalization where every operation is a pass of its own over the tensor.

Any backend, any shape, no compiler. The mean is taken twice: `shift` is its float32 value
and `rest` what remains after subtracting that, so that a mean of 1e3 costs no digits.
Sums run over one spatial axis after the other: short sums keep the accuracy that one long
float32 sum loses.
"""

import math

from keras import ops

from kcnn.layers.group_norm.activation import pointwise
from kcnn.layers.group_norm.reference import activation_gradient, compute_type, per_channel

__all__ = ["backward", "forward"]

_SHORT = 64  # values that one sum may take without losing accuracy


def _shape(spec, x):
    shape = [-1, *[1] * (len(x.shape) - 1)]
    shape[spec.axis] = spec.channels
    return shape


def _sums(spec, values):
    """Sum over space: (batch, *space, channels) -> (batch, channels)."""
    space = [i for i in range(1, len(values.shape)) if i != spec.axis]
    sizes = [values.shape[i] for i in space]
    if space and None not in sizes and math.prod(sizes) <= _SHORT:
        return ops.sum(values, axis=space)
    for i in space:
        values = ops.sum(values, axis=i, keepdims=True)
    return ops.reshape(values, (-1, spec.channels))


def _group_sums(spec, sums):
    """(batch, channels) -> (batch, groups)."""
    return ops.sum(ops.reshape(sums, (-1, spec.groups, spec.depth)), axis=-1)


def _count(spec, x):
    """Values in a group, as a number or a scalar tensor."""
    count = spec.depth
    for i in range(1, len(x.shape)):
        if i != spec.axis:
            count = count * (ops.shape(x)[i] if x.shape[i] is None else x.shape[i])
    return count if isinstance(count, int) else ops.cast(count, compute_type(x))


def forward(spec, x, gamma, beta, residual=None):
    """Returns (y, shift, rest, inv); the mean is shift + rest; all three (batch, groups)."""
    kind, shape, count = compute_type(x), _shape(spec, x), _count(spec, x)
    x = ops.cast(x, kind)
    shift = _group_sums(spec, _sums(spec, x)) / count
    x = x - ops.reshape(per_channel(spec, shift), shape)
    rest = _group_sums(spec, _sums(spec, x)) / count
    variance = _group_sums(spec, _sums(spec, ops.square(x))) / count - ops.square(rest)
    inv = ops.rsqrt(variance + spec.epsilon)
    scale = per_channel(spec, inv) * gamma
    offset = beta - per_channel(spec, rest) * scale
    y = x * ops.reshape(scale, shape) + ops.reshape(offset, shape)
    if residual is not None:
        y = y + ops.cast(residual, kind)
    y = ops.cast(pointwise(spec.activation)(y), spec.dtype)
    return y, shift, rest, inv


def backward(spec, dy, x, gamma, beta, residual, y, shift, rest, inv):
    """Returns (dx, dgamma, dbeta) and, given `residual` or `y`, dz: the residual's gradient.

    `residual` and `y` are what `kept_for_backward` keeps; without an activation dz is dy.
    """
    kind, shape, count = compute_type(x), _shape(spec, x), _count(spec, x)
    wide = [per_channel(spec, small) for small in (shift, rest, inv)]
    d = ops.cast(x, kind) - ops.reshape(wide[0], shape)

    def z():
        scale = wide[2] * gamma
        value = d * ops.reshape(scale, shape) + ops.reshape(beta - wide[1] * scale, shape)
        return value if residual is None else value + ops.cast(residual, kind)

    dz = activation_gradient(spec, ops.cast(dy, kind), z, y)
    dz_sums = _sums(spec, dz)
    dzd_sums = _sums(spec, dz * d) - wide[1] * dz_sums
    dgamma = ops.sum(dzd_sums * wide[2], axis=0)
    dbeta = ops.sum(dz_sums, axis=0)
    mean_1 = _group_sums(spec, dz_sums * gamma) / count
    mean_d = _group_sums(spec, dzd_sums * gamma) / count * ops.square(inv)
    of_d = per_channel(spec, inv * mean_d)
    offset = per_channel(spec, inv * (rest * mean_d - mean_1))
    dx = dz * ops.reshape(wide[2] * gamma, shape) - d * ops.reshape(of_d, shape)
    dx = dx + ops.reshape(offset, shape)
    found = (ops.cast(dx, x.dtype), dgamma, dbeta)
    return found if residual is None and y is None else (*found, ops.cast(dz, spec.dtype))
