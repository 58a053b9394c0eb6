"""The four passes over whole tensors that group normalization comes down to.

Each is one elementwise expression, summed up or written down. All take the tensors as three
axes (see `layout`), `shift` and the other vectors broadcastable to them. `blocks` is how many
blocks of space a sum adds up elementwise: XLA compiles a reduction fused with what it reduces
into a strided loop that no vector unit helps, but a sum of blocks into one vectorized loop with
a result as many times smaller; two sums share it as the halves of one complex sum. Eight blocks,
blocks of neighbouring rows, longer rows, or a loop for each sum are no faster: large tensors go
at the speed of the memory. `PLAIN` are the same passes for operations that run one by one: they
leave all summing to the caller.
"""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops

from kcnn.layers.group_norm.bits import narrowed, pair, widened

__all__ = ["FUSED", "PLAIN", "Passes"]

Passes = dict[str, Callable[..., Any]]
_BLOCKS = 16  # with 8, pixels unlike the others cost more digits than the tests allow


def _moments(blocks: int, space: int, x: Any, shift: Any) -> Any:
    """Partial sums of d = x - shift and d^2."""

    def powers(x: Any) -> tuple[Any, Any]:
        d = widened(x, shift.dtype) - shift
        return d, ops.square(d)

    return _partial_sums(blocks, space, powers, x)


def _gradient_moments(blocks: int, space: int, dy: Any, x: Any, shift: Any) -> Any:
    """Partial sums of dy and dy d."""

    def products(dy: Any, x: Any) -> tuple[Any, Any]:
        dy = widened(dy, shift.dtype)
        return dy, dy * (widened(x, shift.dtype) - shift)

    return _partial_sums(blocks, space, products, dy, x)


def _affine(dtype: str, by_bits: bool, x: Any, shift: Any, scale: Any, offset: Any) -> Any:
    """d scale + offset."""
    return narrowed((widened(x, shift.dtype) - shift) * scale + offset, dtype, by_bits)


def _gradient_affine(
    dtype: str, by_bits: bool, dy: Any, x: Any, shift: Any, of_dy: Any, of_d: Any, offset: Any
) -> Any:
    """dy of_dy - d of_d + offset."""
    d = widened(x, shift.dtype) - shift
    return narrowed(widened(dy, shift.dtype) * of_dy - d * of_d + offset, dtype, by_bits)


def _partial_sums(blocks: int, space: int, f: Callable[..., Any], *tensors: Any) -> list[Any]:
    """What f returns for each block, added up; then that of the rest of space, if there is one."""
    if blocks == 1:
        return list(f(*tensors))
    size = tensors[0].shape[space]
    rows = max(size // blocks, 1)
    count = size // rows if rows > 1 else min(size, blocks)

    def part(start: int, stop: int) -> list[Any]:
        return list(f(*(t[:, start:stop] if space == 1 else t[:, :, start:stop] for t in tensors)))

    totals = part(0, rows)
    for i in range(1, count):
        totals = [a + b for a, b in zip(totals, part(i * rows, (i + 1) * rows), strict=True)]
    found = [pair(*totals)]
    if count * rows < size:
        found.append(pair(*part(count * rows, size)))
    return found


def _all(blocks: int) -> Passes:
    return {
        "moments": functools.partial(_moments, blocks),
        "affine": lambda dtype, *tensors: _affine(dtype, blocks > 1, *tensors),
        "gradient_moments": functools.partial(_gradient_moments, blocks),
        "gradient_affine": lambda dtype, *tensors: _gradient_affine(dtype, blocks > 1, *tensors),
    }


PLAIN = _all(1)
FUSED = _all(_BLOCKS)
