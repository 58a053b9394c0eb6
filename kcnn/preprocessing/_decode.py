"""A file's bytes to upright pixels, inside a graph: the only decoder there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kcnn.preprocessing import _header as header
from kcnn.preprocessing._header import BMP, GIF, JPEG, PNG, UNKNOWN, WEBP
from kcnn.preprocessing._resize import Extent, filters, resized, scaled_size

__all__ = ["MOST_PIXELS", "decode", "fraction_of", "from_bytes", "from_plain_jpeg", "is_plain"]

MOST_PIXELS = 1 << 27  # of a picture: 400 MB of colour, more than any camera gives
_FRACTIONS = (1, 2, 4, 8)  # of its size at which a JPEG can be decoded
_ENOUGH = 2  # times the size needed: what a JPEG is decoded to at least
_LUMA = (19595, 38470, 7471)  # /2**16: ITU-R 601-2, as Pillow rounds it


def _refuse_unless(condition: Any, message: str, *values: Any) -> Any:
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
    steps = sum(tf.cast(fraction >= ratio, tf.int32) for ratio in _FRACTIONS[1:])
    return tf.switch_case(steps, [lambda f=f: decoded(f) for f in _FRACTIONS])


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
    check = _refuse_unless(
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
        with tf.control_dependencies([_refuse_unless(tf.constant(False), message)]):
            return tf.zeros((1, 1, 3), tf.uint8)
    head = header.bytes_at(data, 12, 9)
    moving = (head[3] == ord("X")) & (head[8] // 2 % 2 == 1)
    check = _refuse_unless(~moving, "an animated WebP is not read; save one frame as PNG")
    with tf.control_dependencies([check]):
        return tf.io.decode_webp(data)[0]


class Picture(NamedTuple):
    """Pixels uint8 (h, w, channels) as they are stored, and what the header says of them."""

    pixels: Any
    height: Any  # of the whole picture, int32
    width: Any
    fraction: Any  # the pixels are 1 / fraction as many on each side
    orientation: Any  # as EXIF numbers it


def _read(preprocessing: Any, data: Any, format: int, reduce: bool) -> Picture:
    channels, background = preprocessing.channels, preprocessing.background
    height, width = header.size_of(data, format)
    check = _refuse_unless(
        (height > 0)
        & (width > 0)
        & (tf.cast(height, tf.int64) * tf.cast(width, tf.int64) <= MOST_PIXELS),
        f"a picture whose header claims no pixel or more than {MOST_PIXELS} is not decoded; make "
        "it smaller or remove it. Height and width:",
        height,
        width,
    )
    with tf.control_dependencies([check]):
        data = tf.identity(data)
    orientation = header.exif_orientation(data, format)
    fraction: Any = 1
    if format == JPEG:
        if reduce:
            fraction = fraction_of(preprocessing, height, width, orientation)
        pixels = _decode_jpeg(channels, data, fraction)
    elif format == BMP:
        pixels = _with_channels(_decode_bmp(data), channels, background)
    elif format == GIF:
        pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
        pixels = _with_channels(pixels, channels, background)
    else:
        pixels = _decode_png(data) if format == PNG else _decode_webp(data)
        pixels = _with_channels(pixels, channels, background)
    return Picture(pixels, height, width, tf.convert_to_tensor(fraction), orientation)


def fraction_of(preprocessing: Any, height: Any, width: Any, orientation: Any) -> Any:
    """1, 2, 4 or 8: by how much a JPEG may be made smaller while it is decoded; of many at once.

    All three are int32, as stored.
    """
    lying = orientation >= 5
    size = tf.where(lying, width, height), tf.where(lying, height, width)
    needed = scaled_size(preprocessing, *size)
    rows, columns = (side // (_ENOUGH * want) for side, want in zip(size, needed, strict=True))
    fits = tf.constant(_FRACTIONS) <= tf.minimum(rows, columns)[..., None]
    return tf.reduce_max(tf.where(fits, tf.constant(_FRACTIONS), 1), axis=-1)


def _picture(preprocessing: Any, data: Any, reduce: bool) -> Picture:
    channels = preprocessing.channels
    if channels not in (1, 3):
        raise ValueError(
            f"Preprocessing: channels={channels}, but files are decoded to 1 or 3 channels; give "
            "images of other channels as arrays."
        )
    data = tf.convert_to_tensor(data)

    def refused() -> Picture:
        check = _refuse_unless(
            tf.constant(False),
            "not a JPEG, PNG, GIF, BMP or WebP picture: convert it to PNG or JPEG, or remove it",
        )
        with tf.control_dependencies([check]):
            one = tf.constant(1)
            return Picture(tf.zeros((1, 1, channels), tf.uint8), one, one, one, one)

    def reading(format: int) -> Callable[[], Picture]:
        return lambda: _read(preprocessing, data, format, reduce)

    branches = {format: reading(format) for format in (JPEG, PNG, GIF, BMP, WEBP)}
    return tf.switch_case(header.format_of(data), {UNKNOWN: refused, **branches})


def _turned(picture: Picture) -> tuple[Any, Extent]:
    """The pixels upright, and where the picture lies among them."""
    pixels, height, width, fraction, orientation = picture
    lying = orientation >= 5
    leftwards = tf.reduce_any(orientation == tf.constant([2, 3, 6, 7]))
    upwards = tf.reduce_any(orientation == tf.constant([3, 4, 7, 8]))

    def turn() -> Any:
        turned = tf.cond(lying, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
        turned = tf.cond(leftwards, lambda: turned[:, ::-1], lambda: turned)
        return tf.cond(upwards, lambda: turned[::-1], lambda: turned)

    turned = tf.cond(orientation > 1, turn, lambda: pixels)
    size = tf.where(lying, width, height), tf.where(lying, height, width)
    rows, columns = (tf.cast(side, tf.float32) / tf.cast(fraction, tf.float32) for side in size)
    found = tf.cast(tf.shape(turned), tf.float32)
    top = tf.where(upwards, found[0] - rows, 0.0)
    left = tf.where(leftwards, found[1] - columns, 0.0)
    return turned, Extent(top, left, rows, columns, size)


def decode(preprocessing: Any, data: Any) -> Any:
    """See `Preprocessing.decode`."""
    pixels, _ = _turned(_picture(preprocessing, data, reduce=False))
    return tf.ensure_shape(pixels, (None, None, preprocessing.channels))


def from_bytes(preprocessing: Any, data: Any, *, dtype: Any = tf.float32) -> Any:
    """See `Preprocessing.from_bytes`."""
    reduce = preprocessing.size is not None and filters(preprocessing)
    pixels, extent = _turned(_picture(preprocessing, data, reduce))
    pixels = tf.ensure_shape(pixels, (None, None, preprocessing.channels))
    return resized(preprocessing, pixels, extent, dtype=dtype)


def is_plain(preprocessing: Any, heights: Any, widths: Any, orientations: Any) -> Any:
    """Whether `from_plain_jpeg` does what `from_bytes` does; of many JPEG files, sizes as shown."""
    sizes = [tf.cast(side, tf.int64) for side in (heights, widths)]
    fits = (sizes[0] * sizes[1] <= MOST_PIXELS) & (tf.convert_to_tensor(orientations) == 1)
    if preprocessing.channels != 3:
        return tf.zeros_like(fits)
    if preprocessing.size is None or not filters(preprocessing):
        return fits
    rows, columns = (tf.cast(side, tf.int32) for side in sizes)
    return fits & (fraction_of(preprocessing, rows, columns, tf.ones_like(rows)) == 1)


def from_plain_jpeg(preprocessing: Any, data: Any, *, dtype: Any = tf.float32) -> Any:
    """`from_bytes` without the looks at the header, which take as long as decoding a thumbnail.

    For files known to be JPEG and `is_plain`.
    """
    return resized(preprocessing, _decode_jpeg(3, data, 1), dtype=dtype)
