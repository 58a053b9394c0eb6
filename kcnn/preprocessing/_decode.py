"""A file's bytes to upright pixels, inside a graph: the only decoder there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kcnn.preprocessing import _header as header
from kcnn.preprocessing._formats import FRACTIONS, pixels_of, refuse_unless
from kcnn.preprocessing._header import BMP, GIF, JPEG, PNG, UNKNOWN, WEBP
from kcnn.preprocessing._resize import Extent, filters, resized, scaled_size

__all__ = [
    "MOST_PIXELS",
    "decode",
    "fraction_of",
    "from_bytes",
    "from_plain_jpeg",
    "is_plain",
    "part_from_bytes",
    "part_from_jpeg",
]

MOST_PIXELS = 1 << 27  # of a picture: 400 MB of colour, more than any camera gives
_AROUND = 32  # pixels: two blocks of colours at half the size, across which they are smoothed
_ENOUGH = 2  # times the size needed: what a JPEG is decoded to at least

# There is no Python control flow over tensors here: Autograph would only cost its seconds.
_as_written = tf.autograph.experimental.do_not_convert


class Picture(NamedTuple):
    """Pixels uint8 (h, w, channels) as they are stored, and what the header says of them."""

    pixels: Any
    height: Any  # of the whole picture, int32
    width: Any
    fraction: Any  # the pixels are 1 / fraction as many on each side
    orientation: Any  # as EXIF numbers it


def _read(
    preprocessing: Any, data: Any, format: int, reduce: bool, orientation: Any = None
) -> Picture:
    height, width = header.size_of(data, format)
    check = refuse_unless(
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
    if orientation is None:
        orientation = header.exif_orientation(data, format)
    fraction: Any = 1
    if format == JPEG and reduce:
        fraction = fraction_of(preprocessing, height, width, orientation)
    pixels = pixels_of(preprocessing, data, format, fraction)
    return Picture(pixels, height, width, tf.convert_to_tensor(fraction), orientation)


def fraction_of(preprocessing: Any, height: Any, width: Any, orientation: Any) -> Any:
    """1, 2, 4 or 8: by how much a JPEG may be made smaller while it is decoded; of many at once.

    All three are int32, as stored.
    """
    lying = orientation >= 5
    size = tf.where(lying, width, height), tf.where(lying, height, width)
    needed = scaled_size(preprocessing, *size)
    rows, columns = (side // (_ENOUGH * want) for side, want in zip(size, needed, strict=True))
    fits = tf.constant(FRACTIONS) <= tf.minimum(rows, columns)[..., None]
    return tf.reduce_max(tf.where(fits, tf.constant(FRACTIONS), 1), axis=-1)


def _picture(preprocessing: Any, data: Any, reduce: bool) -> Picture:
    def refused() -> Picture:
        check = refuse_unless(
            tf.constant(False),
            "not a JPEG, PNG, GIF, BMP or WebP picture: convert it to PNG or JPEG, or remove it",
        )
        with tf.control_dependencies([check]):
            one = tf.constant(1)
            pixels = tf.zeros((1, 1, preprocessing.channels), tf.uint8)
            return Picture(pixels, one, one, one, one)

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


def _upright(preprocessing: Any, data: Any, reduce: bool) -> tuple[Any, Extent]:
    """`_turned` of a file's bytes; most files need few of the looks at a header."""
    data = tf.convert_to_tensor(data)
    if preprocessing.channels not in (1, 3):
        raise ValueError(
            f"Preprocessing: channels={preprocessing.channels}, but files are decoded to 1 or 3 "
            "channels; give images of other channels as arrays."
        )

    return tf.cond(
        header.is_simple_jpeg(data),
        lambda: _turned(_read(preprocessing, data, JPEG, reduce, orientation=tf.constant(1))),
        lambda: _turned(_picture(preprocessing, data, reduce)),
    )


@_as_written
def decode(preprocessing: Any, data: Any) -> Any:
    """See `Preprocessing.decode`."""
    pixels, _ = _upright(preprocessing, data, reduce=False)
    return tf.ensure_shape(pixels, (None, None, preprocessing.channels))


@_as_written
def from_bytes(preprocessing: Any, data: Any, *, dtype: Any = tf.float32) -> Any:
    """See `Preprocessing.from_bytes`."""
    reduce = preprocessing.size is not None and filters(preprocessing)
    pixels, extent = _upright(preprocessing, data, reduce)
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


@_as_written
def from_plain_jpeg(preprocessing: Any, data: Any, *, dtype: Any = tf.float32) -> Any:
    """`from_bytes` without the looks at the header, which take as long as decoding a thumbnail.

    For files known to be JPEG and `is_plain`.
    """
    return resized(preprocessing, pixels_of(preprocessing, data, JPEG, 1), dtype=dtype)


@_as_written
def part_from_bytes(preprocessing: Any, data: Any, box: Any, *, dtype: Any = tf.float32) -> Any:
    """`resized` of what lies in `box`, int32 (top, left, height, width), of the upright picture."""
    pixels = decode(preprocessing, data)
    pixels = pixels[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
    return resized(preprocessing, pixels, dtype=dtype)


@_as_written
def part_from_jpeg(
    preprocessing: Any, data: Any, box: Any, size: Any, *, dtype: Any = tf.float32
) -> Any:
    """`part_from_bytes` of an upright JPEG of `size` (2,), of which no more than that is decoded.

    The same pixels, but that (with antialias) a part at least four times as large as needed is
    decoded at a half, a quarter or an eighth, as `from_bytes` does with whole pictures.
    """

    def at(fraction: int) -> Any:
        first = box[:2] // fraction
        last = -(-(box[:2] + box[2:]) // fraction)
        start = tf.maximum(first - _AROUND, 0)
        end = tf.minimum(last + _AROUND, -(-size // fraction))
        pixels = tf.image.decode_and_crop_jpeg(
            data,
            tf.concat([start, end - start], 0),
            channels=preprocessing.channels,
            ratio=fraction,
            dct_method="INTEGER_ACCURATE",
        )
        inner, lengths = first - start, last - first
        pixels = pixels[inner[0] : inner[0] + lengths[0], inner[1] : inner[1] + lengths[1]]
        scaled = tf.cast(box, tf.float32) / fraction
        corner = scaled[:2] - tf.cast(first, tf.float32)
        extent = Extent(corner[0], corner[1], scaled[2], scaled[3], (box[2], box[3]))
        return resized(preprocessing, pixels, extent, dtype=dtype)

    if preprocessing.size is None or not filters(preprocessing):
        return at(1)
    fraction = fraction_of(preprocessing, box[2], box[3], tf.constant(1))
    steps = sum(tf.cast(fraction >= ratio, tf.int32) for ratio in FRACTIONS[1:])
    return tf.switch_case(steps, [lambda f=f: at(f) for f in FRACTIONS])
