"""Pixels of one format each, as they are stored, inside a graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcnn.preprocessing import _header as header
from kcnn.preprocessing._header import BMP, GIF, JPEG, PNG

__all__ = ["FRACTIONS", "pixels_of", "refuse_unless"]

FRACTIONS = (1, 2, 4, 8)  # of its size at which a JPEG can be decoded
_LUMA = (19595, 38470, 7471)  # /2**16: ITU-R 601-2, as Pillow rounds it


def refuse_unless(condition: Any, message: str, *values: Any) -> Any:
    return tf.debugging.Assert(condition, [message, *values])


def _with_channels(pixels: Any, channels: int, background: tuple[float, ...]) -> Any:
    """uint8 (h, w, 1 to 4) as (h, w, channels), transparent pixels on the background."""
    found = tf.shape(pixels)[2]
    has_alpha = found % 2 == 0
    colours = found - tf.cast(has_alpha, tf.int32)

    def to_colour() -> Any:
        return tf.cond(
            colours == 1,
            lambda: tf.repeat(pixels[:, :, :1], 3, axis=2),
            lambda: pixels[:, :, :3],
        )

    def to_gray() -> Any:
        weighed = tf.cast(pixels[:, :, :3], tf.int32) * tf.constant(_LUMA)
        luma = (tf.reduce_sum(weighed, axis=2, keepdims=True) + (1 << 15)) // (1 << 16)
        return tf.cast(luma, tf.uint8)

    def opaque() -> Any:
        if channels == 1:
            return tf.cond(colours == 1, lambda: pixels[:, :, :1], to_gray)
        return to_colour()

    def on_background() -> Any:
        alpha = tf.cast(pixels[:, :, -1:], tf.float32) / 255.0
        shown = tf.cast(opaque(), tf.float32)
        below = tf.constant(background, tf.float32)
        return tf.cast(tf.round(below + (shown - below) * alpha), tf.uint8)

    return tf.cond(has_alpha, on_background, opaque)


def _decode_jpeg(channels: int, data: Any, fraction: Any) -> Any:
    """At 1 / fraction of its size."""

    def at(ratio: int, colours: int) -> Any:
        return tf.io.decode_jpeg(data, channels=colours, ratio=ratio, dct_method="INTEGER_ACCURATE")

    def decoded(ratio: int) -> Any:
        if channels == 3:
            return at(ratio, 3)
        gray = tf.io.extract_jpeg_shape(data)[2] == 1
        pixels = tf.cond(gray, lambda: at(ratio, 1), lambda: at(ratio, 3))
        return _with_channels(pixels, channels, ())

    if isinstance(fraction, int):
        return decoded(fraction)
    steps = sum(tf.cast(fraction >= ratio, tf.int32) for ratio in FRACTIONS[1:])
    return tf.switch_case(steps, [lambda f=f: decoded(f) for f in FRACTIONS])


def _decode_png(data: Any) -> Any:
    head = header.bytes_at(data, 24, 2)
    bits, kind = head[0], head[1]

    # Pictures of few bits without transparency would get an alpha of 2**bits - 1.
    def with_alpha() -> Any:
        pixels = tf.io.decode_png(data, channels=4)
        whole = tf.bitwise.left_shift(1, tf.minimum(bits, 8)) - 1
        clear = tf.cast(pixels[:, :, 3:], tf.int32) == whole
        alpha = tf.where(clear, 255, tf.cast(pixels[:, :, 3:], tf.int32))
        return tf.concat([pixels[:, :, :3], tf.cast(alpha, tf.uint8)], axis=2)

    return tf.cond(kind == 3, lambda: tf.io.decode_png(data), with_alpha)


def _decode_bmp(data: Any) -> Any:
    """8 bits look their colour up in a palette; the fourth byte of 32 bits says nothing."""
    head = header.bytes_at(data, 0, 54)
    bits = header.number_at(head, 28, 2, big=False)
    packing = header.number_at(head, 30, 4, big=False)
    check = refuse_unless(
        ((bits == 8) | (bits == 24) | (bits == 32)) & (packing == 0),
        "a BMP picture of 1, 4 or 16 bits or with packed pixels is not read; save it as PNG. "
        "Bits and packing:",
        bits,
        packing,
    )
    with tf.control_dependencies([check]):
        pixels = tf.io.decode_bmp(data)

    def look_up() -> Any:
        start = 14 + header.number_at(head, 14, 4, big=False)
        palette = tf.reshape(header.bytes_at(data, start, 1024), (256, 4))[:, 2::-1]
        return tf.gather(tf.cast(palette, tf.uint8), tf.cast(pixels[:, :, 0], tf.int32))

    return tf.cond(bits == 8, look_up, lambda: pixels[:, :, :3])


def _decode_webp(data: Any) -> Any:
    if not hasattr(tf.io, "decode_webp"):
        message = "this TensorFlow reads no WebP: upgrade to 2.21, or convert the file to PNG"
        with tf.control_dependencies([refuse_unless(tf.constant(False), message)]):
            return tf.zeros((1, 1, 3), tf.uint8)
    head = header.bytes_at(data, 12, 9)
    moving = (head[3] == ord("X")) & (head[8] // 2 % 2 == 1)
    check = refuse_unless(~moving, "an animated WebP is not read; save one frame as PNG")
    with tf.control_dependencies([check]):
        return tf.io.decode_webp(data)[0]


def pixels_of(preprocessing: Any, data: Any, format: int, fraction: Any) -> Any:
    """uint8 (h, w, channels), not yet turned upright; a JPEG at 1 / fraction of its size."""
    channels, background = preprocessing.channels, preprocessing.background
    if format == JPEG:
        return _decode_jpeg(channels, data, fraction)
    if format == BMP:
        pixels = _decode_bmp(data)
    elif format == GIF:
        pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    else:
        pixels = _decode_png(data) if format == PNG else _decode_webp(data)
    return _with_channels(pixels, channels, background)
