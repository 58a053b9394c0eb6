"""The passes over the pixels, compiled by XLA where that pays.

The arithmetic is nearly free; what `tf.image` and keras-cv lose is passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kcnn.augment._compile import compiled_kernel

__all__ = ["centres", "colour_and_cut", "cut", "image_mean", "mix", "to_dtype"]


def to_dtype(x: Any, dtype: str) -> Any:
    """Float values as `dtype`; integers are rounded and kept within what they hold."""
    target = tf.as_dtype(dtype)
    if target.is_integer and x.dtype.is_floating:
        x = tf.clip_by_value(tf.round(x), float(target.min), float(target.max))
    return tf.cast(x, target)


def centres(length: Any) -> Any:
    """Where the centres of `length` pixels lie: 0.5, 1.5, ... float32."""
    return tf.range(tf.cast(length, tf.float32), dtype=tf.float32) + 0.5


def _as_lines(images: Any) -> Any:
    shape = tf.shape(images)
    return tf.reshape(tf.cast(images, tf.float32), (shape[0], shape[1], -1))


def image_mean(images: Any) -> Any:
    """Mean of each channel of each image (b, c), float32: down the columns first, then across."""
    shape = tf.shape(images)
    across = tf.reduce_mean(_as_lines(images), axis=1)
    across = tf.reshape(across, (shape[0], shape[2], images.shape[3]))
    return tf.reduce_mean(across, axis=1)


def _within(box: Any, images: Any) -> tuple[Any, Any]:
    """Which rows (b, h) and which columns (b, w) have their centres in the boxes: bool.

    box: (y0, x0, y1, x1), each (b,).
    """
    shape = tf.shape(images)
    y0, x0, y1, x1 = (edge[:, None] for edge in box)
    y, x = centres(shape[1]), centres(shape[2])
    return (y >= y0) & (y < y1), (x >= x0) & (x < x1)


def _by_terms(pixels: Any, matrix: Any) -> Any:
    """matrix @ pixel, as sums that XLA blends with what comes before and after."""
    channels = range(pixels.shape[3])
    return tf.add_n([pixels[..., c, None] * matrix[:, None, None, :, c] for c in channels])


def _by_product(pixels: Any, matrix: Any) -> Any:
    """The same as one operation of TensorFlow."""
    shape = tf.shape(pixels)
    listed = tf.reshape(pixels, (shape[0], -1, pixels.shape[3]))
    return tf.reshape(tf.matmul(listed, matrix, transpose_b=True), shape)


def _colour_and_cut(
    images: Any,
    matrix: Any,
    bias: Any,
    boxes: Any,
    *,
    fills: tuple[float, ...],
    value_range: tuple[float, float],
    dtype: str,
    product: Callable[[Any, Any], Any],
) -> Any:
    """matrix @ pixel + bias, clipped; then `boxes` filled; then rounded to `dtype`: one pass.

    matrix (b, c, c); bias (b, c) may be None.
    """
    out = product(tf.cast(images, tf.float32), matrix)
    out = out if bias is None else out + bias[:, None, None, :]
    out = tf.clip_by_value(out, *value_range)
    for box, fill in zip(boxes, fills, strict=True):
        # As factors: a choice by row, column and channel would keep the loop from being vectorized.
        rows, columns = (tf.cast(line, tf.float32) for line in _within(box, images))
        inside = rows[:, :, None, None] * columns[:, None, :, None]
        out = out * (1.0 - inside) + fill * inside
    return to_dtype(out, dtype)


colour_and_cut = compiled_kernel(
    functools.partial(_colour_and_cut, product=_by_terms),
    plain=functools.partial(_colour_and_cut, product=_by_product),
)


def _on_lines(rows: Any, columns: Any, images: Any) -> Any:
    """The rectangles of `_within` for images whose columns and channels are one axis."""
    return rows[:, :, None] & tf.repeat(columns, images.shape[3], axis=1)[:, None, :]


@compiled_kernel
def cut(images: Any, boxes: Any, *, fills: tuple[float, ...], dtype: str) -> Any:
    """Fill `boxes`, then round to `dtype`."""
    out = _as_lines(images)
    for box, fill in zip(boxes, fills, strict=True):
        out = tf.where(_on_lines(*_within(box, images), images), fill, out)
    return to_dtype(tf.reshape(out, tf.shape(images)), dtype)


@compiled_kernel
def mix(images: Any, partners: Any, share: Any, box: Any, *, dtype: str) -> Any:
    """share * image + (1 - share) * partner, within `box` or everywhere.

    Without a share, the partner's values in `box`, of whatever type.
    """
    lines = tf.reshape(images, (tf.shape(images)[0], tf.shape(images)[1], -1))
    others = tf.reshape(partners, tf.shape(lines))
    inside = None if box is None else _on_lines(*_within(box, images), images)
    if share is None:
        out = tf.where(inside, others, lines)
    else:
        share = share[:, None, None]
        share = share if inside is None else tf.where(inside, share, 1.0)
        out = tf.cast(lines, tf.float32) * share + tf.cast(others, tf.float32) * (1.0 - share)
    return to_dtype(tf.reshape(out, tf.shape(images)), dtype)
