"""Passes that send each channel through a curve of its own, and the one that sharpens."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcnn.augment._compile import compiled_kernel
from kcnn.augment._kernels import to_dtype

__all__ = ["curve", "equalizing", "histogram", "limits", "look_up", "sharpen"]

WHITE = 255.0


def _each(values: Any) -> Any:
    """(b,) as (b, 1, 1, 1)."""
    return values[:, None, None, None]


def _curved(images: Any, curves: Any) -> Any:
    """`images` with fewer levels and inverted highlights, as `Tone` says, float32."""
    unit, added, threshold = curves
    out = tf.cast(images, tf.float32)
    if unit is not None:
        unit = _each(unit)
        out = tf.where(unit > 0.0, tf.floor(tf.floor(out) / tf.maximum(unit, 1.0)) * unit, out)
    if threshold is not None:
        out = out if added is None else tf.clip_by_value(out + _each(added), 0.0, WHITE)
        out = tf.where(out < _each(threshold), out, WHITE - out)
    return out


def _over_image(reduce: Any, values: Any) -> Any:
    """(b, c) from (b, h, w, c): down the columns first, whole lines at a time, then across."""
    shape = tf.shape(values)
    down = reduce(tf.reshape(values, (shape[0], shape[1], -1)), axis=1)
    return reduce(tf.reshape(down, (shape[0], shape[2], values.shape[3])), axis=1)


@compiled_kernel
def limits(images: Any, curves: Any) -> tuple[Any, Any]:
    """The least and the greatest value (b, c) that `curves` make of `images`."""
    out = _curved(images, curves)
    return _over_image(tf.reduce_min, out), _over_image(tf.reduce_max, out)


@compiled_kernel
def curve(images: Any, curves: Any, limits: Any, *, dtype: str) -> Any:
    """`images` after `curves`, stretched to 0..255 where `limits` says: low, high, and whether."""
    out = _curved(images, curves)
    if limits is not None:
        low, high, stretch = limits
        wide = (stretch[:, None] & (high > low))[:, None, None, :]
        low, high = low[:, None, None, :], high[:, None, None, :]
        out = tf.where(wide, (out - low) / tf.where(wide, high - low, 1.0) * WHITE, out)
    return to_dtype(out, dtype)


def _entries(images: Any, bins: int) -> Any:
    """Where each value stands in a flat table (b, c, bins): int32 (b, h, w, c)."""
    shape, channels = tf.shape(images), images.shape[3]
    values = tf.clip_by_value(tf.cast(images, tf.float32), 0.0, WHITE)
    level = tf.cast(values * (bins - 1) / WHITE, tf.int32)
    first = tf.range(shape[0])[:, None] * channels + tf.range(channels)
    return level + bins * first[:, None, None, :]


@compiled_kernel
def histogram(images: Any, *, bins: int) -> Any:
    """How many pixels of each channel are in each bin: int32 (b, c, bins)."""
    channels, batch = images.shape[3], tf.shape(images)[0]
    entries = tf.reshape(_entries(images, bins), [-1])
    counts = tf.math.unsorted_segment_sum(tf.ones_like(entries), entries, batch * (channels * bins))
    return tf.reshape(counts, (batch, channels, bins))


def equalizing(counts: Any) -> Any:
    """The values (b, c, bins) that make a channel with these counts use 0..255 evenly.

    A channel of one value alone keeps it: negative entries say so.
    """
    below = tf.cumsum(counts, axis=-1)
    first = tf.reduce_min(tf.where(below > 0, below, below.dtype.max), axis=-1, keepdims=True)
    rest = below[..., -1:] - first
    share = tf.cast(below - first, tf.float32) * WHITE / tf.cast(tf.maximum(rest, 1), tf.float32)
    return tf.where(rest > 0, tf.clip_by_value(tf.round(share), 0.0, WHITE), -1.0)


@compiled_kernel
def look_up(images: Any, table: Any, on: Any, *, bins: int, dtype: str) -> Any:
    """The entries of `table` (b, c, bins) for the values of the images that are `on`."""
    values = tf.cast(images, tf.float32)
    found = tf.gather(tf.reshape(table, [-1]), _entries(images, bins))
    return to_dtype(tf.where(_each(on) & (found >= 0.0), found, values), dtype)


@compiled_kernel
def sharpen(images: Any, share: Any, *, dtype: str) -> Any:
    """share * image + (1 - share) * blurred, clipped; the outermost pixels stay as they are.

    Blurred is the mean of 3 x 3 pixels, the middle one five times as heavy.
    """
    values = tf.cast(images, tf.float32)
    rows = tf.pad(values, [[0, 0], [1, 1], [0, 0], [0, 0]])
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    both = tf.pad(rows, [[0, 0], [0, 0], [1, 1], [0, 0]])
    both = both[:, :, :-2] + both[:, :, 1:-1] + both[:, :, 2:]
    blurred = (both + 4.0 * values) / 13.0
    shape = tf.shape(images)
    y, x = (tf.range(shape[axis]) for axis in (1, 2))
    inner = ((y > 0) & (y < shape[1] - 1))[:, None] & ((x > 0) & (x < shape[2] - 1))[None]
    out = tf.clip_by_value(values + (1.0 - _each(share)) * (blurred - values), 0.0, WHITE)
    return to_dtype(tf.where(inner[None, :, :, None], out, values), dtype)
