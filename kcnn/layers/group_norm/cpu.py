"""Group normalization for XLA on a CPU: few passes, each one vectorized loop.

XLA compiles a reduction fused with what it reduces into a strided loop that no vector unit
helps. So a sum over space is taken in two steps: 8 or 16 blocks of rows are computed and
added elementwise (one fused, vectorized pass over the tensor, a result as many times
smaller), and a product with a vector of ones, which nothing fuses into, adds up the rest.
Two sums share a pass as the halves of one complex sum. Forward reads x twice and writes y;
backward reads x and dy twice and writes dx.

Statistics are relative to `shift`, the mean of every `_PART`-th pixel; the mean of all is
shift + rest. x - shift is exact to float32 relative to the spread of the values however large
their mean is; and as rest^2 <= _PART * variance whatever the values are, E[(x - shift)^2] -
rest^2 loses four bits at worst, and as good as none where these pixels are like the others.
"""

import math

import keras
from keras import ops

from kcnn.layers.group_norm.activation import pointwise
from kcnn.layers.group_norm.bits import bits_of_bfloat16, narrowed, pair, widened
from kcnn.layers.group_norm.reference import activation_gradient, compute_type, per_channel

__all__ = ["backward", "forward"]

_NARROW = 32  # channels, up to which 16 blocks are fastest; beyond, 8 are, but for half precision
_PART = 17  # odd, so that it does not always meet the same column


class _View:
    """(batch, *space, channels) as three axes, for channels last (axis 2) or first (axis 1)."""

    def __init__(self, spec, x):
        self.spec = spec
        self.x = x
        self.last = spec.axis == len(x.shape) - 1
        self.size = math.prod(x.shape[i] for i in range(1, len(x.shape)) if i != spec.axis)
        self.count = self.size * spec.depth

    def flat(self, x):
        """To three axes; bfloat16 as bits."""
        c = self.spec.channels
        return ops.reshape(
            bits_of_bfloat16(x), (-1, self.size, c) if self.last else (-1, c, self.size)
        )

    def wide(self, x):
        """To three axes, in the type to compute in."""
        return widened(self.flat(x), compute_type(self.x))

    def once(self, x):
        """x, calculated once rather than anew in every pass, let alone for every value.

        XLA repeats an expansion but not a division; this one, by a 1 that it can't foresee,
        changes no value and makes it keep the quotients.
        """
        some = ops.cast(ops.reshape(self.x, (-1,))[:1], x.dtype)
        one = ops.minimum(ops.abs(some), 0.0) + 1.0
        return x / ops.where(ops.isnan(some), ops.ones_like(one), one)

    def restored(self, x):
        """From three axes to those of the input."""
        return ops.reshape(x, (-1, *self.x.shape[1:]))

    def cut(self, x, rows):
        """Blocks of `rows` rows and one of what remains, or a None for each if x is None.

        Half precision is converted here: converted as a whole, XLA writes all of it down.
        """
        if x is None:
            return [None] * -(-self.size // rows)
        return [widened(block, compute_type(self.x)) for block in self._apart(self.flat(x), rows)]

    def _apart(self, x, rows):
        if self._narrow(rows):
            apart = ops.reshape(x, (-1, rows, self.size // rows, self.spec.channels))
            return ops.unstack(apart, axis=2)
        return ops.split(x, list(range(rows, self.size, rows)), axis=1 if self.last else 2)

    def _narrow(self, rows):
        """Whether a row is so short that rows side by side belong to different blocks.

        The passes then read memory in order, rather than a few values from every block.
        """
        return self.last and self.spec.channels <= _NARROW and self.size % rows == 0

    def channels(self, vector):
        """(channels,) -> broadcastable to the three axes."""
        return ops.reshape(vector, (1, 1, -1) if self.last else (1, -1, 1))

    def groups(self, small):
        """(batch, groups) -> broadcastable to the three axes."""
        wide = per_channel(self.spec, small)
        if self.spec.depth > 1:
            wide = self.once(wide)
        return ops.expand_dims(wide, 1 if self.last else 2)

    def sums(self, f, *tensors):
        """Sums over space of the two tensors that f(*blocks) returns: (batch, channels).

        `blocks` are those of the tensors, in the type to compute in.
        """
        full = keras.backend.standardize_dtype(self.x.dtype) == compute_type(self.x)
        slices = 8 if full and self.spec.channels > _NARROW else 16
        rows = max(self.size // slices, min(2, self.size))
        blocks = zip(*(self.cut(t, rows) for t in tensors), strict=True)
        values = [f(*block) for block in blocks]
        tail = values.pop() if self.size % rows else None
        totals = values[0]
        for more in values[1:]:
            totals = [a + b for a, b in zip(totals, more, strict=True)]
        both = self._add_up(pair(*totals), rows)
        sums = ops.real(both), ops.imag(both)
        if tail is None:
            return sums
        axis = 1 if self.last else 2
        return [a + ops.sum(b, axis=axis) for a, b in zip(sums, tail, strict=True)]

    def _add_up(self, values, rows):
        """Sums over the `rows` of space, by a product that nothing is fused into."""
        batch = ops.shape(values)[0]
        ones = ops.ones((batch, 1, rows) if self.last else (batch, rows, 1), compute_type(self.x))
        if values.dtype != ones.dtype:
            ones = pair(ones, ops.zeros_like(ones))
        sums = ones @ values if self.last else values @ ones
        return ops.reshape(sums, (-1, self.spec.channels))

    def part_means(self, x):
        """The means of every `_PART`-th pixel of the groups: (batch, groups)."""
        part = x[:, ::_PART] if self.last else x[:, :, ::_PART]
        rows = -(-self.size // _PART)
        return self.group_means(self._add_up(part, rows)) * (self.size / rows)

    def group_means(self, sums):
        """(batch, channels) -> (batch, groups), divided by the values in a group."""
        sums = ops.reshape(sums, (-1, self.spec.groups, self.spec.depth))
        return ops.sum(sums, axis=-1) / self.count


def forward(spec, x, gamma, beta, residual=None):
    """Returns (y, shift, rest, inv); the mean is shift + rest; all three (batch, groups)."""
    view = _View(spec, x)
    x3 = view.wide(x)
    shift = view.part_means(x3)
    wide_shift = view.groups(shift)

    def powers(x):
        d = x - wide_shift
        return d, ops.square(d)

    rest, squares = map(view.group_means, view.sums(powers, x))
    inv = ops.rsqrt(ops.maximum(squares - ops.square(rest), 0.0) + spec.epsilon)
    wide_rest = view.groups(rest)
    y = ((x3 - wide_shift) - wide_rest) * (view.groups(inv) * view.channels(gamma))
    y = y + view.channels(beta)
    if residual is not None:
        y = y + view.wide(residual)
    y = narrowed(pointwise(spec.activation)(y), spec.dtype)
    return view.restored(y), shift, rest, inv


def backward(spec, dy, x, gamma, beta, residual, y, shift, rest, inv):
    """Returns (dx, dgamma, dbeta) and, given `residual` or `y`, dz: the residual's gradient.

    `residual` and `y` are what `kept_for_backward` keeps; without an activation dz is dy.
    """
    view = _View(spec, x)
    tensors = (dy, x, residual, y)
    wide_shift, wide_rest, wide_inv = (view.groups(small) for small in (shift, rest, inv))
    wide_gamma, wide_beta = view.channels(gamma), view.channels(beta)

    def centred(x):
        return (x - wide_shift) - wide_rest

    def dz(dy, x, r, y):
        def z():
            value = centred(x) * (wide_inv * wide_gamma) + wide_beta
            return value if r is None else value + r

        return activation_gradient(spec, dy, z, y)

    def products(*tensors):
        slope = dz(*tensors)
        return slope, slope * centred(tensors[1])

    dz_sums, dzd_sums = view.sums(products, *tensors)
    dgamma = ops.sum(dzd_sums * per_channel(spec, inv), axis=0)
    dbeta = ops.sum(dz_sums, axis=0)
    mean_1 = view.groups(view.group_means(dz_sums * gamma))
    mean_d = view.groups(view.group_means(dzd_sums * gamma) * ops.square(inv))
    wide = [None if t is None else view.wide(t) for t in tensors]
    dz3 = dz(*wide)
    dx = wide_inv * (wide_gamma * dz3 - mean_1 - centred(wide[1]) * mean_d)
    found = (narrowed(view.restored(dx), x.dtype), dgamma, dbeta)
    if residual is None and y is None:
        return found
    return *found, narrowed(view.restored(dz3), spec.dtype)
