"""(batch, *space, channels) as three axes, and the small tensors that belong to it.

Channels last: (batch, rows, pixels of a row x channels). A row is as many whole pixels as make
a multiple of `_LANES` values: in a loop over 48 or 80 values a third of the time goes into what
is left after whole vectors, and in one over 16 none are whole. Channels first: (batch,
channels, pixels).
"""

import functools
import math
from typing import Any

from keras import ops

from kcnn.layers.group_norm.bits import bits_of_bfloat16
from kcnn.layers.group_norm.reference import NormSpec, compute_type, per_channel

__all__ = ["Layout"]

_LANES = 32  # float32 values in four AVX2 registers, which compilers take at a time
_SHORTEST = 256  # values of a row; rows of 64 take a quarter more time
_PART = 17  # odd, so that it does not always meet the same column


class Layout:
    """How one tensor and those like it are seen.

    Args:
        spec: with the channels on axis 1 or the last.
        x: of any floating type.
        fused: whether XLA compiles all that is done with it.
    """

    def __init__(self, spec: NormSpec, x: Any, fused: bool):
        self.spec, self.x, self.fused = spec, x, fused
        self.last = spec.axis == len(x.shape) - 1
        self.space = 1 if self.last else 2
        sizes = ops.shape(x)
        self.size = math.prod(sizes[i] for i in range(1, len(sizes)) if i != spec.axis)
        self.known = isinstance(self.size, int)
        self.run = _pixels_of_a_row(self.size, spec.channels) if self.last and self.known else 1
        self._batch = -1 if self.known else sizes[0]

    def flat(self, x: Any) -> Any:
        """To three axes; bfloat16 as bits where XLA compiles what follows."""
        x = bits_of_bfloat16(x) if self.fused else x
        c, run = self.spec.channels, self.run
        rows = self.size // run
        shape = (self._batch, rows, run * c) if self.last else (self._batch, c, rows)
        return ops.reshape(x, shape)

    def restored(self, x: Any) -> Any:
        """From three axes to those of the input."""
        sizes = [self._batch if i == 0 else n for i, n in enumerate(ops.shape(self.x))]
        return ops.reshape(x, sizes)

    def wide(self, vector: Any) -> Any:
        """(batch, channels) -> broadcastable to the three axes."""
        if not self.last:
            return ops.expand_dims(vector, 2)
        if self.run > 1:
            vector = ops.tile(vector, (1, self.run))
        return self._once(ops.expand_dims(vector, 1))

    def _once(self, x: Any) -> Any:
        """x, calculated once rather than anew in every pass, let alone for every value.

        XLA repeats an expansion but not a division; this one, by a 1 that it can't foresee,
        changes no value and makes it keep the quotients.
        """
        return x / self._one if self.fused else x

    @functools.cached_property
    def _one(self) -> Any:
        some = ops.isnan(ops.reshape(self.x, (-1,))[:1])
        return ops.minimum(ops.cast(some, compute_type(self.x)), 0.0) + 1.0

    def part_means(self) -> Any:
        """The means of the groups over every `_PART`-th pixel: (batch, groups).

        They are taken one by one: TensorFlow needs seven times as long for a strided slice.
        """
        c = self.spec.channels
        shape = (self._batch, self.size, c) if self.last else (self._batch, c, self.size)
        pixels = ops.arange(0, self.size, _PART)
        x = ops.take(ops.reshape(self.x, shape), pixels, axis=self.space)
        x = ops.cast(x, compute_type(x))
        rows = (self.size + _PART - 1) // _PART
        return self._per_group(ops.sum(x, axis=self.space), rows * self.spec.depth)

    def totals(self, parts: list[Any]) -> tuple[Any, Any]:
        """The two sums over space, (batch, channels) each, of the complex partial ones."""
        both = sum(self._product(part) for part in parts)
        return ops.real(both), ops.imag(both)

    def sum(self, values: Any) -> Any:
        """In two steps: short sums keep the accuracy that one long float32 sum loses."""
        c, run, width = self.spec.channels, self.run, self.run * self.spec.channels
        rows = self.size // run
        first = _divisor_near_root(rows) if self.known else ops.shape(self.x)[1 if self.last else 2]
        if self.last:
            values = ops.reshape(values, (self._batch, first, rows // first, width))
            values = ops.sum(ops.sum(values, axis=2), axis=1)
            return ops.sum(ops.reshape(values, (-1, run, c)), axis=1)
        values = ops.reshape(values, (self._batch, c, first, rows // first))
        return ops.sum(ops.sum(values, axis=3), axis=2)

    def _product(self, values: Any) -> Any:
        """By a product with ones, since nothing is fused into one."""
        batch, c = ops.shape(values)[0], self.spec.channels
        rows = values.shape[self.space]
        ones = ops.ones((batch, 1, rows) if self.last else (batch, rows, 1), compute_type(self.x))
        ones = ops.cast(ones, values.dtype)
        sums = ones @ values if self.last else values @ ones
        return ops.sum(ops.reshape(sums, (-1, self.run, c)), axis=1)

    def group_means(self, sums: Any) -> Any:
        """(batch, channels) -> (batch, groups), divided by the values in a group."""
        return self._per_group(sums, self.size * self.spec.depth)

    def _per_group(self, sums: Any, count: Any) -> Any:
        sums = ops.sum(ops.reshape(sums, (-1, self.spec.groups, self.spec.depth)), axis=-1)
        return sums / ops.cast(count, sums.dtype)

    def channels(self, small: Any) -> Any:
        """(batch, groups) -> (batch, channels)."""
        return per_channel(self.spec, small)


def _pixels_of_a_row(size: int, channels: int) -> int:
    """The fewest that divide the pixels and make rows long enough, of whole vectors if any do."""
    long = [n for n in _divisors(size) if n * channels >= _SHORTEST] or [max(size, 1)]
    return next((n for n in long if n * channels % _LANES == 0), long[0])


def _divisor_near_root(n: int) -> int:
    return max((d for d in _divisors(n) if d * d <= n), default=1)


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})
