"""The passes over the pixels, compiled by XLA where that pays.

A resized image costs two reads and one write of each pixel here, a colour change one of each: at
this point the arithmetic is nearly free, and what `tf.image` and keras-cv lose is passes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["colour_and_cut", "image_mean", "mix", "to_dtype", "warp"]

_WORTH_COMPILING = 2048  # values in an image: below that the compiler's second is never won back


@functools.cache
def _xla_works() -> bool:
    """Whether this build of TensorFlow can compile (some for Windows and macOS can't)."""
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.zeros(2))
    except Exception:  # whatever it raises, the plain graph does the same work
        return False
    return True


def _compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel(images, ...)`, compiled for images of some size unless `compiled` says otherwise.

    Images whose size the graph does not know are left to the plain kernel: XLA would compile anew
    for every size it meets.
    """
    fast = tf.function(kernel, jit_compile=True)

    @functools.wraps(kernel)
    def run(images: Any, *args: Any, compiled: bool | None = None, **kwargs: Any) -> Any:
        if compiled is None:
            sides = images.shape[1:].as_list()
            compiled = None not in sides and math.prod(sides) >= _WORTH_COMPILING
        if not compiled:
            return kernel(images, *args, **kwargs)
        with tf.init_scope():
            works = _xla_works()
        return (fast if works else kernel)(images, *args, **kwargs)

    return run


def to_dtype(x: Any, dtype: str) -> Any:
    """Float values as `dtype`; integers are rounded and kept within what they hold."""
    target = tf.as_dtype(dtype)
    if target.is_integer and x.dtype.is_floating:
        x = tf.clip_by_value(tf.round(x), float(target.min), float(target.max))
    return tf.cast(x, target)


def _place(points: Any, length: Any, fill_mode: str) -> tuple[Any, Any, Any]:
    """Points on an axis of `length` pixels: the pixel before, the share of the next, and inside.

    The pixel before is at most the last but one, so the next always exists.
    """
    size = tf.cast(length, tf.float32)
    inside = (points >= 0.0) & (points <= size)
    if fill_mode == "reflect":
        points = size - tf.abs(tf.math.floormod(points, 2.0 * size) - size)
    at = tf.clip_by_value(points - 0.5, 0.0, size - 1.0)
    before = tf.clip_by_value(tf.floor(at), 0.0, tf.maximum(size - 2.0, 0.0))
    return tf.cast(before, tf.int32), at - before, inside


def _two_each_way(images: Any) -> Any:
    """An image one pixel high or wide is doubled, so that it has neighbours to blend."""
    grow = [[0, int(side == 1)] for side in images.shape[1:3]]
    return tf.pad(images, [[0, 0], *grow, [0, 0]], "SYMMETRIC") if [0, 1] in grow else images


def _sides(size: Any, images: Any) -> tuple[Any, Any]:
    """Height and width of the output; None stands for the image's own."""
    shape = tf.shape(images)
    return tuple(shape[i + 1] if side is None else side for i, side in enumerate(size))


def _centres(length: Any) -> Any:
    return tf.range(tf.cast(length, tf.float32), dtype=tf.float32) + 0.5


@_compiled
def _warp_lines(
    images: Any, axes: Any, *, size: Any, fill_mode: str, fill_value: float, dtype: str
) -> Any:
    """Rows first, as whole contiguous lines; then columns."""
    shape = tf.shape(images)
    batch, height, width, channels = shape[0], shape[1], shape[2], images.shape[3]
    size = _sides(size, images)
    yy, y0, xx, x0 = (entry[:, None] for entry in axes)
    ys, xs = yy * _centres(size[0]) + y0, xx * _centres(size[1]) + x0
    y, y_share, y_inside = _place(ys, height, fill_mode)
    x, x_share, x_inside = _place(xs, width, fill_mode)
    images = _two_each_way(images)
    lines = tf.reshape(images, (batch, tf.shape(images)[1], -1))

    def line(at: Any) -> Any:
        return tf.cast(tf.gather(lines, at, batch_dims=1), tf.float32)

    share = y_share[:, :, None]
    rows = line(y) * (1.0 - share) + line(y + 1) * share
    rows = tf.reshape(rows, (batch, size[0], tf.shape(images)[2], channels))
    share = x_share[:, None, :, None]
    left, right = (tf.gather(rows, at, axis=2, batch_dims=1) for at in (x, x + 1))
    out = left * (1.0 - share) + right * share
    if fill_mode == "constant":
        inside = y_inside[:, :, None] & x_inside[:, None, :]
        out = tf.where(inside[..., None], out, fill_value)
    return to_dtype(out, dtype)


@_compiled
def _aim(images: Any, axes: Any, turns: Any, *, size: Any, fill_mode: str) -> Any:
    """For each output pixel: the flat index of its upper left source pixel, and three shares."""
    shape, size = tf.shape(images), _sides(size, images)
    y, x = _centres(size[0])[None, :, None], _centres(size[1])[None, None, :]
    yy, y0, xx, x0, yx, xy = (entry[:, None, None] for entry in (*axes, *turns))
    ys, y_share, y_inside = _place(yy * y + yx * x + y0, shape[1], fill_mode)
    xs, x_share, x_inside = _place(xy * y + xx * x + x0, shape[2], fill_mode)
    return ys * tf.shape(_two_each_way(images))[2] + xs, y_share, x_share, y_inside & x_inside


@_compiled
def _fetch(
    images: Any, aim: Any, *, size: Any, fill_mode: str, fill_value: float, dtype: str
) -> Any:
    index, y_share, x_share, inside = aim
    shape, size = tf.shape(images), _sides(size, images)
    images = _two_each_way(images)
    width, channels = tf.shape(images)[2], images.shape[3]
    pixels = tf.reshape(images, (shape[0], -1, channels))
    flat = tf.reshape(index, (shape[0], -1))

    def at(offset: Any) -> Any:
        found = tf.cast(tf.gather(pixels, flat + offset, batch_dims=1), tf.float32)
        return tf.reshape(found, (shape[0], *size, channels))

    y_share, x_share = y_share[..., None], x_share[..., None]
    upper = at(0) * (1.0 - x_share) + at(1) * x_share
    lower = at(width) * (1.0 - x_share) + at(width + 1) * x_share
    out = upper * (1.0 - y_share) + lower * y_share
    if fill_mode == "constant":
        out = tf.where(inside[..., None], out, fill_value)
    return to_dtype(out, dtype)


def warp(
    images: Any,
    axes: tuple[Any, ...],
    turns: tuple[Any, ...] | None = None,
    *,
    size: tuple[int | None, int | None] = (None, None),
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    dtype: str = "float32",
    compiled: bool | None = None,
) -> Any:
    """Bilinear samples of `images` (b, h, w, c) where a `Warp` puts the output's points.

    axes: its yy, y0, xx and x0; turns: its yx and xy, or None. Gives (b, *size, c); a side of
    `size` that is None is the image's own.
    """
    rest = {"size": size, "fill_mode": fill_mode, "fill_value": fill_value, "dtype": dtype}
    if turns is None:
        return _warp_lines(images, axes, compiled=compiled, **rest)
    aim = _aim(images, axes, turns, size=size, fill_mode=fill_mode, compiled=compiled)
    return _fetch(images, aim, compiled=compiled, **rest)


def image_mean(images: Any) -> Any:
    """Mean of each channel of each image (b, c), float32: down the columns first, then across."""
    shape = tf.shape(images)
    lines = tf.reshape(tf.cast(images, tf.float32), (shape[0], shape[1], -1))
    across = tf.reshape(tf.reduce_mean(lines, axis=1), (shape[0], shape[2], images.shape[3]))
    return tf.reduce_mean(across, axis=1)


def _within(box: Any, height: Any, width: Any) -> Any:
    """Which pixel centres lie in the boxes (y0, x0, y1, x1), each (b,): bool (b, h, w)."""
    y0, x0, y1, x1 = (edge[:, None] for edge in box)
    y, x = _centres(height), _centres(width)
    return ((y >= y0) & (y < y1))[:, :, None] & ((x >= x0) & (x < x1))[:, None, :]


@_compiled
def colour_and_cut(
    images: Any,
    matrix: Any,
    bias: Any,
    boxes: Any,
    *,
    fills: tuple[float, ...],
    value_range: tuple[float, float],
    dtype: str,
) -> Any:
    """matrix @ pixel + bias, clipped; then `boxes` filled; then rounded to `dtype`: one pass.

    matrix (b, c, c) and bias (b, c) may be None.
    """
    out = tf.cast(images, tf.float32)
    if matrix is not None:
        channels = range(images.shape[3])
        terms = [out[..., c, None] * matrix[:, None, None, :, c] for c in channels]
        out = tf.add_n(terms)
        out = out if bias is None else out + bias[:, None, None, :]
        out = tf.clip_by_value(out, *value_range)
    shape = tf.shape(images)
    for box, fill in zip(boxes, fills, strict=True):
        out = tf.where(_within(box, shape[1], shape[2])[..., None], fill, out)
    return to_dtype(out, dtype)


@_compiled
def mix(images: Any, partners: Any, share: Any, box: Any, *, dtype: str) -> Any:
    """share * image + (1 - share) * partner, or the partner's pixels inside `box`."""
    ours, theirs = tf.cast(images, tf.float32), tf.cast(partners, tf.float32)
    if box is None:
        share = share[:, None, None, None]
        return to_dtype(ours * share + theirs * (1.0 - share), dtype)
    shape = tf.shape(images)
    return to_dtype(tf.where(_within(box, shape[1], shape[2])[..., None], theirs, ours), dtype)
