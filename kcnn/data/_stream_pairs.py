"""The images of a stream, decoded once: afterwards they come from the cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcnn.data._read import THREADS
from kcnn.data._rows import Stream

__all__ = ["stream_pairs"]


def stream_pairs(rows: Stream, split: Any) -> Any:
    """(image, label) one by one, in order; from the cache of `split` once it holds all of them.

    A pass that is broken off is begun anew: a stream can't be entered in its middle.
    """
    import tensorflow as tf

    preprocessing, cache = split.preprocessing, split.cache

    def image(given: Any) -> Any:
        if given.dtype == tf.string:
            return tf.cast(preprocessing.from_bytes(given), tf.uint8)
        if preprocessing is None:
            return given
        sized = preprocessing.resized(given)
        return tf.cast(sized, tf.uint8) if given.dtype == tf.uint8 else sized

    read = rows.make().map(
        lambda given, label: (image(given), label), num_parallel_calls=THREADS, deterministic=True
    )
    if cache is None:
        return read
    places, labels = cache.places(rows.keys), tf.convert_to_tensor(split.labels)
    spec, _ = read.element_spec

    def write(number: np.ndarray, image: np.ndarray) -> np.ndarray:
        cache.write(places[number : number + 1], image[None])
        return image

    def recall(number: np.ndarray) -> np.ndarray:
        out = np.empty((1, *spec.shape), spec.dtype.as_numpy_dtype)
        if not cache.read(places[number : number + 1], out, np.zeros(1, int)).all():
            raise OSError(f"{cache.where}: holds image {number} no more; load the data again.")
        return out[0]

    def through(function: Any, *given: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(function, given, spec.dtype), spec.shape)

    written = read.enumerate().map(lambda n, pair: (through(write, n, pair[0]), pair[1]))
    recalled = tf.data.Dataset.range(len(rows)).map(
        lambda n: (through(recall, n), labels[n]), num_parallel_calls=THREADS, deterministic=True
    )
    # Asked anew at the beginning of each epoch.
    whole = tf.data.Dataset.from_tensors(0).map(
        lambda _: tf.numpy_function(lambda: np.int64(cache.holds(places).all()), [], tf.int64)
    )
    which = whole.flat_map(lambda number: tf.data.Dataset.from_tensors(number).repeat())
    return tf.data.Dataset.choose_from_datasets([written, recalled], which)
