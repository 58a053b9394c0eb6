"""The passes over whole tensors that group normalization comes down to: two sums, two results.

Each is one elementwise expression, summed up over space or written down. All take the tensors as
three axes (see `layout`), `shift` and the other vectors broadcastable to them. `PLAIN` runs them
operation by operation. `FUSED` is for XLA, which compiles a reduction fused with what it reduces
into a strided loop that no vector unit helps, but a sum of blocks into one vectorized loop with a
result as many times smaller; two sums share it as the halves of one complex sum. Eight blocks,
blocks of neighbouring rows, longer rows, or a loop for each sum are no faster: large tensors go
at the speed of the memory.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

from keras import ops

from kcnn.layers.group_norm.bits import narrowed, pair, widened
from kcnn.layers.group_norm.layout import Layout

__all__ = [
    "FUSED",
    "PLAIN",
    "Fused",
    "Passes",
    "Terms",
    "Values",
    "affine",
    "gradient_affine",
    "gradient_moments",
    "moments",
    "partial_sums",
]

_BLOCKS = 16  # with 8, pixels unlike the others cost more digits than the tests allow

Terms = Callable[..., tuple[Any, Any]]
Values = Callable[..., Any]


def moments(shift: Any, x: Any) -> tuple[Any, Any]:
    """d = x - shift and d^2."""
    d = widened(x, shift.dtype) - shift
    return d, ops.square(d)


def gradient_moments(shift: Any, dy: Any, x: Any) -> tuple[Any, Any]:
    """dy and dy d."""
    dy = widened(dy, shift.dtype)
    return dy, dy * (widened(x, shift.dtype) - shift)


def affine(shift: Any, x: Any, scale: Any, offset: Any) -> Any:
    """d scale + offset."""
    return (widened(x, shift.dtype) - shift) * scale + offset


def gradient_affine(shift: Any, dy: Any, x: Any, of_dy: Any, of_d: Any, offset: Any) -> Any:
    """dy of_dy - d of_d + offset."""
    d = widened(x, shift.dtype) - shift
    return widened(dy, shift.dtype) * of_dy - d * of_d + offset


class Passes:
    """Operation by operation."""

    fused = False

    def sums(self, view: Layout, terms: Terms, *tensors: Any) -> tuple[Any, Any]:
        """The two terms summed over space: (batch, channels) each."""
        first, second = terms(*tensors)
        return view.sum(first), view.sum(second)

    def values(self, dtype: str, values: Values, *tensors: Any) -> Any:
        """The values, as `dtype`."""
        return narrowed(values(*tensors), dtype, self.fused)


class Fused(Passes):
    """As XLA likes them on a CPU."""

    fused = True

    def sums(self, view: Layout, terms: Terms, *tensors: Any) -> tuple[Any, Any]:
        return view.totals(partial_sums(view.space, terms, *tensors))


def partial_sums(space: int, terms: Terms, shift: Any, *tensors: Any) -> list[Any]:
    """The two terms of each block, added up; then those of the rest of space, if there is one."""
    size = tensors[0].shape[space]
    rows = max(size // _BLOCKS, 1)
    count = size // rows if rows > 1 else min(size, _BLOCKS)
    blocks = zip(*(_blocks(t, space, rows, count) for t in tensors), strict=True)
    of_blocks = [terms(shift, *block) for block in blocks]
    totals = (functools.reduce(operator.add, term) for term in zip(*of_blocks[:count], strict=True))
    return [pair(*totals), *(pair(*rest) for rest in of_blocks[count:])]


def _blocks(x: Any, space: int, rows: int, count: int) -> list[Any]:
    """So many blocks, and the rest if there is one."""
    whole = count * rows
    if whole == x.shape[space]:
        return list(ops.split(x, count, axis=space))
    parts = (x[:, :whole], x[:, whole:]) if space == 1 else (x[:, :, :whole], x[:, :, whole:])
    return [*ops.split(parts[0], count, axis=space), parts[1]]


PLAIN = Passes()
FUSED = Fused()
