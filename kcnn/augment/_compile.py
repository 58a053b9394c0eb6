"""Which kernels XLA compiles, and when.

XLA compiles for one shape, in about half a second. So that a stream of many shapes does not compile
at every step, batches are filled up to one of a few sizes, and only so many image sizes are taken.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["compiled_kernel"]

_WORTH_COMPILING = (
    28 * 28
)  # values in an image: below, the compiler's half second is hardly won back
_SIZES = 32  # image sizes a process compiles for; a chain that resizes takes three
_seen: set[tuple[int, ...]] = set()


@functools.cache
def _xla_works() -> bool:
    """Whether this build of TensorFlow can compile (some for Windows and macOS can't)."""
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.zeros(2))
    except Exception:  # whatever it raises, the plain graph does the same work
        return False
    return True


def _worth_it(size: tuple[int | None, ...]) -> bool:
    known = [side for side in size if side is not None]
    if len(known) < len(size) or math.prod(known) < _WORTH_COMPILING:
        return False
    if tuple(known) not in _seen and len(_seen) >= _SIZES:
        return False
    _seen.add(tuple(known))
    with tf.init_scope():
        return _xla_works()


@functools.cache
def _fast(kernel: Callable[..., Any], statics: Any, signature: Any) -> Any:
    """One function for each signature: TensorFlow warns of functions traced many times."""
    return tf.function(functools.partial(kernel, **dict(statics)), jit_compile=True)


def _filled_up(batch: Any) -> Any:
    """`batch` or the next number whose binary digits after the first three are 0: 9 to 10."""
    if isinstance(batch, int):
        step = 1 << max(batch.bit_length() - 3, 0)
    else:
        octaves = tf.constant([8 << octave for octave in range(28)])
        step = tf.bitwise.left_shift(1, tf.math.count_nonzero(batch >= octaves, dtype=tf.int32))
    return -(-batch // step) * step


def _with_images(tensor: Any, more: Any) -> Any:
    """Zeros for `more` images behind the others; no copy if there are none."""
    if tensor is None:
        return None
    return tf.pad(tensor, [[0, more]] + [[0, 0]] * (len(tensor.shape) - 1))


def compiled_kernel(
    kernel: Callable[..., Any], plain: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """`kernel(images, ...)`, compiled for images of some size unless `compiled` says otherwise.

    The images and every tensor after them have the batch as their first axis, as has what comes
    back; keywords are constants. Images whose size the graph does not know are left to `plain`, the
    same kernel if not given.
    """
    plain = plain or kernel

    @functools.wraps(kernel)
    def run(images: Any, *args: Any, compiled: bool | None = None, **statics: Any) -> Any:
        size = tuple(images.shape[1:])
        if not (_worth_it(size) if compiled is None else compiled):
            return plain(images, *args, **statics)
        batch = images.shape[0]
        batch = tf.shape(images)[0] if batch is None else batch
        more = _filled_up(batch) - batch
        given = (images, *args)
        if not isinstance(more, int) or more:
            given = tf.nest.map_structure(functools.partial(_with_images, more=more), given)
        signature = tuple(x if x is None else (*x.shape, x.dtype) for x in tf.nest.flatten(given))
        out = _fast(kernel, tuple(sorted(statics.items())), signature)(*given)
        return out if given[0] is images else tf.nest.map_structure(lambda x: x[:batch], out)

    return run
