"""One file of a split, or a part of it, as the pixels of an image; inside a graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from kcnn.data._rows import Files

__all__ = ["file_loader", "from_any_format", "with_boxes"]


@lru_cache(maxsize=8)
def from_any_format(
    preprocessing: Any, *, part: bool = False, dtype: Any = "uint8"
) -> Callable[..., Any]:
    """A file's bytes (and a box) to pixels; traced once, which takes a second."""
    import tensorflow as tf

    from kcnn.preprocessing import _decode

    signature = [tf.TensorSpec((), tf.string)]
    if part:
        signature.append(tf.TensorSpec((4,), tf.int32))
    decode = _decode.part_from_bytes if part else _decode.from_bytes
    return tf.function(
        lambda *given: decode(preprocessing, *given, dtype=tf.as_dtype(dtype)),
        input_signature=signature,
        autograph=False,
    )


def file_loader(
    rows: Files, preprocessing: Any, dtype: Any, *, part: bool = False
) -> Callable[..., Any]:
    """Number of a file (and the box of a part of it) to (number, pixels (h, w, c) of `dtype`)."""
    import tensorflow as tf

    from kcnn.preprocessing import _decode

    paths = tf.constant(np.asarray(rows.paths))
    sizes = tf.constant(np.stack([rows.heights, rows.widths], axis=1), tf.int32)
    plain = np.asarray(rows.formats) == "jpeg"
    if part:
        plain &= (np.asarray(rows.orientations) == 1) & (preprocessing.channels == 3)
    else:
        sides = rows.heights, rows.widths
        plain &= _decode.is_plain(preprocessing, *sides, rows.orientations).numpy()

    def load(number: Any, *box: Any) -> tuple[Any, Any]:
        data = tf.io.read_file(tf.gather(paths, number))

        def fast() -> Any:
            if not part:
                return _decode.from_plain_jpeg(preprocessing, data, dtype=dtype)
            size = tf.gather(sizes, number)
            return _decode.part_from_jpeg(preprocessing, data, *box, size, dtype=dtype)

        def general() -> Any:
            return from_any_format(preprocessing, part=part, dtype=dtype)(data, *box)

        return number, _chosen(plain, number, fast, general)

    return load


def _chosen(
    plain: np.ndarray, number: Any, fast: Callable[[], Any], general: Callable[[], Any]
) -> Any:
    """`fast()` of the files that are `plain`; a graph holds no more than its files need."""
    import tensorflow as tf

    if plain.all():
        return fast()
    if not plain.any():
        return general()
    return tf.cond(tf.gather(tf.constant(plain), number), fast, general)


def with_boxes(order: Any, rows: Files, crop: Any, seed: int) -> Any:
    """To each batch of indices the part of each picture, int32 (b, 4), other ones each epoch."""
    import tensorflow as tf

    heights, widths = (tf.constant(side, tf.int32) for side in (rows.heights, rows.widths))
    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

    def add(index: Any, number: Any) -> tuple[Any, Any]:
        seeds = tf.cast(tf.stack([number, number // 2**31]) % 2**31, tf.int32)
        return index, crop.boxes(seeds, tf.gather(heights, index), tf.gather(widths, index))

    return tf.data.Dataset.zip((order, numbers)).map(add)
