"""Group normalization for XLA on a CPU: few passes, each one vectorized loop.

XLA compiles a reduction fused with what it reduces into a strided loop that no vector unit
helps. So a sum over space is taken in two steps: `_SLICES` blocks of rows are computed and
added elementwise (one fused, vectorized pass over the tensor, a result `_SLICES` times
smaller), and a product with a vector of ones, which nothing fuses into, adds up the rest.
Forward reads x three times and writes y; backward reads x and dy three and three times.

Statistics are relative to one pixel of the group, `shift`: the mean is shift + rest. x - shift
is exact to float32 relative to the spread of the values however large their mean is.
"""

import math

from keras import ops

from kcnn.layers._norm_spec import activation_gradient, compute_type
from kcnn.layers._pointwise import pointwise

__all__ = ["backward", "forward"]

_SLICES = 4


class _View:
    """(batch, *space, channels) as three axes, for channels last (axis 2) or first (axis 1)."""

    def __init__(self, spec, x):
        self.spec = spec
        self.last = spec.axis == len(x.shape) - 1
        self.size = math.prod(x.shape[i] for i in range(1, len(x.shape)) if i != spec.axis)
        self.count = self.size * spec.depth

    def flat(self, x):
        """To three axes, in the type to compute in."""
        c, kind = self.spec.channels, compute_type(x)
        shape = (-1, self.size, c) if self.last else (-1, c, self.size)
        return ops.cast(ops.reshape(x, shape), kind)

    def cut(self, x, start, stop):
        """Rows `start` to `stop` of space."""
        if x is None:
            return None
        return x[:, start:stop] if self.last else x[:, :, start:stop]

    def channels(self, vector):
        """(channels,) -> broadcastable to the three axes."""
        return ops.reshape(vector, (1, 1, -1) if self.last else (1, -1, 1))

    def groups(self, small):
        """(batch, groups) -> broadcastable to the three axes."""
        wide = ops.repeat(small, self.spec.depth, axis=1)
        return ops.expand_dims(wide, 1 if self.last else 2)

    def sums(self, f, *tensors):
        """Sum of f(*tensors) over space: (batch, channels)."""
        rows = max(self.size // _SLICES, 1)
        blocks = self.size // rows
        total = f(*(self.cut(t, 0, rows) for t in tensors))
        for i in range(1, blocks):
            total = total + f(*(self.cut(t, i * rows, (i + 1) * rows) for t in tensors))
        ones = ops.ones((ops.shape(total)[0], rows), dtype=total.dtype)
        if self.last:
            sums = ops.matmul(ones[:, None], total)[:, 0]
        else:
            sums = ops.matmul(total, ones[:, :, None])[:, :, 0]
        if blocks * rows < self.size:
            tail = f(*(self.cut(t, blocks * rows, self.size) for t in tensors))
            sums = sums + ops.sum(tail, axis=1 if self.last else 2)
        return sums

    def group_means(self, sums):
        """(batch, channels) -> (batch, groups), divided by the values in a group."""
        sums = ops.reshape(sums, (-1, self.spec.groups, self.spec.depth))
        return ops.sum(sums, axis=-1) / self.count


def forward(spec, x, gamma, beta, residual=None):
    """Returns (y, shift, rest, inv); the mean is shift + rest; all three (batch, groups)."""
    view = _View(spec, x)
    x3 = view.flat(x)
    pixel = x3[:, 0] if view.last else x3[:, :, 0]
    shift = pixel[:, :: spec.depth]
    wide_shift = view.groups(shift)
    rest = view.group_means(view.sums(lambda x: x - wide_shift, x3))
    wide_rest = view.groups(rest)
    squares = view.sums(lambda x: ops.square((x - wide_shift) - wide_rest), x3)
    inv = ops.rsqrt(view.group_means(squares) + spec.epsilon)
    y = ((x3 - wide_shift) - wide_rest) * (view.groups(inv) * view.channels(gamma))
    y = y + view.channels(beta)
    if residual is not None:
        y = y + view.flat(residual)
    y = ops.cast(pointwise(spec.activation)(y), spec.dtype)
    return ops.reshape(y, ops.shape(x)), shift, rest, inv


def backward(spec, dy, x, gamma, beta, residual, y, shift, rest, inv):
    """Returns (dx, dgamma, dbeta, dz); dz, before the activation, is the residual's gradient.

    `residual` and `y` may be None where the activation's gradient does not need them.
    """
    view = _View(spec, x)
    x3, dy3 = view.flat(x), view.flat(dy)
    r3 = None if residual is None else view.flat(residual)
    y3 = None if y is None else view.flat(y)
    wide_shift, wide_rest, wide_inv = (view.groups(small) for small in (shift, rest, inv))
    wide_gamma, wide_beta = view.channels(gamma), view.channels(beta)

    def centred(x):
        return (x - wide_shift) - wide_rest

    def dz(dy, x, r, y):
        def z():
            value = centred(x) * (wide_inv * wide_gamma) + wide_beta
            return value if r is None else value + r

        return activation_gradient(spec, dy, z, y)

    tensors = (dy3, x3, r3, y3)
    dz_sums = view.sums(dz, *tensors)
    dzd_sums = view.sums(lambda *t: dz(*t) * centred(t[1]), *tensors)
    inv_c = ops.repeat(inv, spec.depth, axis=1)
    dgamma = ops.sum(dzd_sums * inv_c, axis=0)
    dbeta = ops.sum(dz_sums, axis=0)
    mean_1 = view.groups(view.group_means(dz_sums * gamma))
    mean_d = view.groups(view.group_means(dzd_sums * gamma) * ops.square(inv))
    dz3 = dz(*tensors)
    dx = wide_inv * (wide_gamma * dz3 - mean_1 - centred(x3) * mean_d)
    shape = ops.shape(x)
    return ops.reshape(dx, shape), dgamma, dbeta, ops.reshape(dz3, shape)
