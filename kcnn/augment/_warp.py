"""The pass that moves pixels: bilinear samples where a warp puts the output's points.

Rows are blended first, as whole lines; then columns. Each is a kernel of its own: as one, XLA
would blend the rows anew for each of the two columns that meet in a pixel.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcnn.augment._compile import compiled_kernel
from kcnn.augment._kernels import centres, to_dtype
from kcnn.augment._steps import Warp

__all__ = ["warp"]


def _reflected(points: Any, size: Any) -> Any:
    """Points mirrored at the borders 0 and `size` until they lie between: c b a | a b c | c b a."""
    return size - tf.abs(tf.math.floormod(points, 2.0 * size) - size)


def _sides(size: Any, images: Any) -> tuple[Any, Any]:
    """Height and width of the output; None stands for the image's own."""
    shape = tf.shape(images)
    return tuple(shape[i + 1] if side is None else side for i, side in enumerate(size))


def _pixel(points: Any, length: Any, fill_mode: str) -> tuple[Any, Any]:
    """The pixel that holds each point, on an axis of `length` pixels, and whether one does."""
    size = tf.cast(length, tf.float32)
    inside = (points >= 0.0) & (points <= size)
    points = _reflected(points, size) if fill_mode == "reflect" else points
    return tf.cast(tf.clip_by_value(tf.floor(points), 0.0, size - 1.0), tf.int32), inside


def _place(points: Any, length: Any, fill_mode: str) -> tuple[Any, Any, Any]:
    """Points on an axis of `length` pixels: the pixel before, the share of the next, and inside.

    The pixel before is at most the last but one, so the next exists unless `length` is 1.
    """
    size = tf.cast(length, tf.float32)
    inside = (points >= 0.0) & (points <= size)
    if fill_mode == "reflect":
        points = _reflected(points, size)
    at = tf.clip_by_value(points - 0.5, 0.0, size - 1.0)
    before = tf.clip_by_value(tf.floor(at), 0.0, tf.maximum(size - 2.0, 0.0))
    return tf.cast(before, tf.int32), at - before, inside


def _next(at: Any, length: Any) -> Any:
    return tf.minimum(at + 1, length - 1)


def _two_each_way(images: Any) -> Any:
    """An image one pixel high or wide is doubled, so that it has neighbours to blend."""
    sides = images.shape[1:3]
    if None in sides.as_list():
        sides = tf.unstack(tf.shape(images)[1:3])
    elif min(sides) > 1:
        return images
    grow = [[0, tf.maximum(2 - side, 0)] for side in sides]
    return tf.pad(images, [[0, 0], *grow, [0, 0]], "SYMMETRIC")


@compiled_kernel
def _rows(
    images: Any, scale: Any, start: Any, *, height: int | None, fill_mode: str, fill_value: float
) -> Any:
    """Blended rows (b, height, w, c), float32, at scale * y + start."""
    shape = tf.shape(images)
    rows = shape[1] if height is None else height
    points = scale[:, None] * centres(rows) + start[:, None]
    at, share, inside = _place(points, shape[1], fill_mode)
    lines = tf.reshape(images, (shape[0], shape[1], -1))

    def line(index: Any) -> Any:
        return tf.cast(tf.gather(lines, index, batch_dims=1), tf.float32)

    share = share[:, :, None]
    out = line(at) * (1.0 - share) + line(_next(at, shape[1])) * share
    if fill_mode == "constant":
        out = tf.where(inside[:, :, None], out, fill_value)
    return tf.reshape(out, (shape[0], rows, shape[2], images.shape[3]))


@compiled_kernel
def _columns(
    images: Any,
    scale: Any,
    start: Any,
    *,
    width: int | None,
    fill_mode: str,
    fill_value: float,
    dtype: str,
) -> Any:
    """Blended columns (b, h, width, c) at scale * x + start."""
    length = tf.shape(images)[2]
    points = scale[:, None] * centres(length if width is None else width) + start[:, None]
    at, share, inside = _place(points, length, fill_mode)
    pair = (at, _next(at, length))
    left, right = (tf.gather(images, index, axis=2, batch_dims=1) for index in pair)
    share = share[:, None, :, None]
    out = left * (1.0 - share) + right * share
    if fill_mode == "constant":
        out = tf.where(inside[:, None, :, None], out, fill_value)
    return to_dtype(out, dtype)


@compiled_kernel
def _aim(images: Any, axes: Any, turns: Any, *, size: Any, fill_mode: str) -> Any:
    """For each output pixel: the flat index of its upper left source pixel, and three shares."""
    shape, size = tf.shape(images), _sides(size, images)
    y, x = centres(size[0])[None, :, None], centres(size[1])[None, None, :]
    yy, y0, xx, x0, yx, xy = (entry[:, None, None] for entry in (*axes, *turns))
    ys, y_share, y_inside = _place(yy * y + yx * x + y0, shape[1], fill_mode)
    xs, x_share, x_inside = _place(xy * y + xx * x + x0, shape[2], fill_mode)
    return ys * tf.maximum(shape[2], 2) + xs, y_share, x_share, y_inside & x_inside


@compiled_kernel
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


@compiled_kernel
def _nearest(
    images: Any,
    axes: Any,
    turns: Any,
    *,
    size: Any,
    fill_mode: str,
    fill_value: float,
    dtype: str,
) -> Any:
    """The pixels (b, *size, c), of the images' type, that hold the points of a `Warp`.

    axes: its yy, y0, xx and x0; turns: its yx and xy, or None.
    """
    shape, (height, width) = tf.shape(images), _sides(size, images)
    y, x = centres(height)[None, :, None], centres(width)[None, None, :]
    yy, y0, xx, x0 = (entry[:, None, None] for entry in axes)
    ys, xs = yy * y + y0, xx * x + x0
    if turns is not None:
        yx, xy = (entry[:, None, None] for entry in turns)
        ys, xs = ys + yx * x, xs + xy * y
    (row, y_inside), (column, x_inside) = (
        _pixel(points, length, fill_mode) for points, length in ((ys, shape[1]), (xs, shape[2]))
    )
    pixels = tf.reshape(images, (shape[0], -1, images.shape[3]))
    flat = tf.reshape(row * shape[2] + column, (shape[0], -1))
    out = tf.gather(pixels, flat, batch_dims=1)
    out = tf.reshape(out, (shape[0], height, width, images.shape[3]))
    if fill_mode == "constant":
        out = tf.where((y_inside & x_inside)[..., None], out, tf.cast(fill_value, out.dtype))
    return to_dtype(out, dtype)


def warp(images: Any, step: Warp, *, dtype: str = "float32", compiled: bool | None = None) -> Any:
    """Samples of `images` (b, h, w, c) where `step` puts the output's points: (b, *size, c)."""
    fill: dict[str, Any] = {"fill_mode": step.fill_mode or "nearest", "compiled": compiled}
    to: dict[str, Any] = {"fill_value": step.fill_value, "dtype": dtype}
    axes, turns = (step.yy, step.y0, step.xx, step.x0), (step.yx, step.xy)
    if step.interpolation == "nearest":
        return _nearest(images, axes, None if step.axes else turns, size=step.size, **to, **fill)
    if step.axes:
        rows = _rows(images, *axes[:2], height=step.size[0], fill_value=step.fill_value, **fill)
        return _columns(rows, *axes[2:], width=step.size[1], **to, **fill)
    aim = _aim(images, axes, turns, size=step.size, **fill)
    return _fetch(images, aim, size=step.size, **to, **fill)
