"""Images to one size, inside a graph: the only resizing there is."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["Extent", "filters", "resized", "scaled_size"]

_WITHIN = ("nearest", "bilinear")  # give no value outside those they are given
_KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos3": "lanczos3"}


class Extent(NamedTuple):
    """Where a picture lies among pixels: float32, in pixels; and its own size, int32.

    A JPEG decoded at a fraction of its size ends within a pixel, not at its edge.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    size: tuple[Any, Any]


def filters(preprocessing: Any) -> bool:
    """Whether a pixel is made of all that it covers, where a picture becomes smaller."""
    return bool(preprocessing.antialias) and preprocessing.interpolation != "nearest"


def scaled_size(preprocessing: Any, height: Any, width: Any) -> tuple[Any, Any]:
    """The (height, width) that the whole picture is scaled to, before a crop or padding.

    One side fits exactly; the other is rounded to whole pixels.
    """
    if preprocessing.resize == "stretch":
        return preprocessing.size
    found = [tf.cast(side, tf.float64) for side in (height, width)]
    ratios = [side / was for side, was in zip(preprocessing.size, found, strict=True)]
    if preprocessing.resize == "crop":
        scale = tf.maximum(*ratios) / preprocessing.crop_ratio
        limits = [(side, 1 << 30) for side in preprocessing.size]
    else:
        scale = tf.minimum(*ratios)
        limits = [(1, side) for side in preprocessing.size]
    scaled = [tf.cast(tf.round(side * scale), tf.int32) for side in found]
    return tuple(tf.clip_by_value(side, *limit) for side, limit in zip(scaled, limits, strict=True))


def resized(
    preprocessing: Any, images: Any, extent: Extent | None = None, *, dtype: Any = tf.float32
) -> Any:
    """See `Preprocessing.resized`; of `dtype`, float32 or uint8."""
    images = tf.convert_to_tensor(images)
    if images.shape.rank not in (3, 4):
        raise ValueError(
            f"Preprocessing: got images of shape {images.shape}; expected (height, width, "
            "channels) or (images, height, width, channels)."
        )
    if images.shape[-1] == 1 and preprocessing.channels == 3:
        images = tf.repeat(images, 3, axis=-1)  # gray, as gray files are decoded to colours
    if images.shape[-1] not in (None, preprocessing.channels):
        raise ValueError(
            f"Preprocessing: got images of {images.shape[-1]} channels, shape {images.shape}; "
            f"it is for {preprocessing.channels}."
        )
    single = images.shape.rank == 3
    images = images[None] if single else images
    if preprocessing.size is None or images.shape[1:3] == preprocessing.size:
        out = images
    else:
        out = _fitted(preprocessing, images, extent)
    whole = tf.ensure_shape(_whole(preprocessing, out, dtype), (None, *preprocessing.image_shape))
    return whole[0] if single else whole


def _whole(preprocessing: Any, images: Any, dtype: Any) -> Any:
    """Rounded to whole numbers 0..255, halves up."""
    if images.dtype != tf.uint8:
        images = tf.cast(images, tf.float32) + 0.5
        if preprocessing.interpolation not in _WITHIN:
            images = tf.clip_by_value(images, 0.0, 255.5)
        images = images if dtype == tf.uint8 else tf.floor(images)
    return tf.cast(images, dtype)


def _fitted(preprocessing: Any, images: Any, extent: Extent | None) -> Any:
    """(b, h, w, c) to (b, *size, c): stretched, cropped or padded."""
    if extent is None:
        shape = tf.shape(images)
        rows, columns = (tf.cast(side, tf.float32) for side in (shape[1], shape[2]))
        extent = Extent(0.0, 0.0, rows, columns, (shape[1], shape[2]))
    scaled = scaled_size(preprocessing, *extent.size)
    if preprocessing.resize == "stretch":
        return _scaled(preprocessing, images, extent, scaled)
    space = [side - wanted for side, wanted in zip(scaled, preprocessing.size, strict=True)]
    if preprocessing.resize == "crop":
        # To the nearest whole pixel, halves to even: as torchvision's CenterCrop.
        corner = [tf.cast(tf.round(side / 2), tf.int32) for side in space]
        return _scaled(preprocessing, images, extent, scaled, corner, preprocessing.size)
    below = tf.constant(preprocessing.background, tf.float32)
    around = [(-side // 2, -side - -side // 2) for side in space]
    picture = tf.cast(_scaled(preprocessing, images, extent, scaled), tf.float32) - below
    return tf.pad(picture, [(0, 0), *around, (0, 0)]) + below


def _scaled(
    preprocessing: Any,
    images: Any,
    extent: Extent,
    scaled: tuple[Any, Any],
    corner: Any = (0, 0),
    shown: tuple[Any, Any] | None = None,
) -> Any:
    """The whole picture at the size `scaled`, of it what is `shown` from `corner` on.

    TensorFlow's antialiased resize is fast along an axis whose pixels have many channels, five
    times as slow where they have three, and wakes other threads for each row more than one. So an
    image is one row here: its columns are those of the pass, all else is channels; in between it is
    turned over.
    """
    shown = scaled if shown is None else shown
    if not filters(preprocessing):
        images = tf.image.resize(images, tf.stack(scaled), method=preprocessing.interpolation)
        (top, left), (height, width) = corner, shown
        return images[:, top : top + height, left : left + width]
    shape = tf.shape(images)
    batch, rows, columns, channels = shape[0], shape[1], shape[2], preprocessing.channels
    starts, lengths = (extent.top, extent.left), (extent.height, extent.width)

    def along(x: Any, axis: int) -> Any:
        scale = tf.cast(scaled[axis], tf.float32) / lengths[axis]
        shift = -starts[axis] * scale - tf.cast(corner[axis], tf.float32)
        return tf.raw_ops.ScaleAndTranslate(
            images=x,
            size=tf.stack([1, shown[axis]]),
            scale=tf.stack([1.0, scale]),
            translation=tf.stack([0.0, shift]),
            kernel_type=_KERNELS[preprocessing.interpolation],
            antialias=True,
        )

    x = along(tf.reshape(images, (batch, 1, rows, columns * channels)), 0)
    x = tf.transpose(tf.reshape(x, (batch, shown[0], columns * channels)), (0, 2, 1))
    x = along(tf.reshape(x, (batch, 1, columns, channels * shown[0])), 1)
    x = tf.transpose(tf.reshape(x, (batch, shown[1] * channels, shown[0])), (0, 2, 1))
    return tf.reshape(x, (batch, shown[0], shown[1], channels))
