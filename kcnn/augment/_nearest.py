"""The pass that moves pixels without blending them: masks, and images where it is asked for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcnn.augment._compile import compiled_kernel
from kcnn.augment._kernels import centres, to_dtype

__all__ = ["nearest", "reflected", "sides"]


def reflected(points: Any, size: Any) -> Any:
    """Points mirrored at the borders 0 and `size` until they lie between: c b a | a b c | c b a."""
    return size - tf.abs(tf.math.floormod(points, 2.0 * size) - size)


def sides(size: Any, images: Any) -> tuple[Any, Any]:
    """Height and width of the output; None stands for the image's own."""
    shape = tf.shape(images)
    return tuple(shape[i + 1] if side is None else side for i, side in enumerate(size))


def _pixel(points: Any, length: Any, fill_mode: str) -> tuple[Any, Any]:
    """The pixel that holds each point, on an axis of `length` pixels, and whether one does."""
    size = tf.cast(length, tf.float32)
    inside = (points >= 0.0) & (points <= size)
    points = reflected(points, size) if fill_mode == "reflect" else points
    return tf.cast(tf.clip_by_value(tf.floor(points), 0.0, size - 1.0), tf.int32), inside


@compiled_kernel
def nearest(
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
    shape, (height, width) = tf.shape(images), sides(size, images)
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
