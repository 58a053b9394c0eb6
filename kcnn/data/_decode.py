"""Images decoded now, many at a time; a file that can't be is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from kcnn.data._manifest import shown
from kcnn.data._read import said
from kcnn.data._record import DataError
from kcnn.data._rows import Files, Rows, Stream
from kcnn.preprocessing import Preprocessing

__all__ = ["decode", "decoded"]

_AT_ONCE = 64  # images handed over at a time


@lru_cache(maxsize=16)
def _from_file(preprocessing: Preprocessing) -> Callable[[Any], Any]:
    """Traced once for all pipelines: tracing takes seconds."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def read(path: Any) -> Any:
        return tf.cast(preprocessing.from_bytes(tf.io.read_file(path)), tf.uint8)

    return read


@lru_cache(maxsize=16)
def _from_bytes(preprocessing: Preprocessing) -> Callable[[Any], Any]:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def read(data: Any) -> Any:
        return tf.cast(preprocessing.from_bytes(data), tf.uint8)

    return read


def decoded(pairs: Any, preprocessing: Preprocessing | None, *, from_files: bool) -> Any:
    """A `tf.data.Dataset` of (path, encoded bytes or pixels; label) with images, in its order."""
    import tensorflow as tf

    assert preprocessing is not None  # as with everything but arrays

    def image(given: Any) -> Any:
        if given.dtype == tf.string:
            return (_from_file if from_files else _from_bytes)(preprocessing)(given)
        shape = (*preprocessing.size, preprocessing.channels)
        return tf.ensure_shape(preprocessing.resized(given), shape)

    return pairs.map(
        lambda given, label: (image(given), label),
        num_parallel_calls=os.cpu_count(),
        deterministic=True,
    )


def _in_order(rows: Rows) -> Any:
    import tensorflow as tf

    if isinstance(rows, Stream):
        return rows.make()
    assert isinstance(rows, Files)
    numbers = np.arange(len(rows))
    return tf.data.Dataset.from_tensor_slices((list(rows.paths), numbers))


def decode(rows: Rows, numbers: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Images `numbers` (n, h, w, c), uint8 or float32, in that order."""
    import tensorflow as tf

    if len(numbers) == 0:
        return np.zeros((0, *preprocessing.size, preprocessing.channels), np.uint8)
    order = np.argsort(numbers, kind="stable")  # a stream keeps its order
    wanted = rows.take(numbers[order])
    out: np.ndarray | None = None
    done = 0
    with tf.device("CPU:0"):
        try:
            images = decoded(_in_order(wanted), preprocessing, from_files=isinstance(wanted, Files))
            for batch, _ in images.batch(_AT_ONCE).as_numpy_iterator():
                if out is None:
                    out = np.empty((len(numbers), *batch.shape[1:]), batch.dtype)
                out[order[done : done + len(batch)]] = batch
                done += len(batch)
        except tf.errors.OpError as error:
            raise DataError(_culprit(wanted, done, preprocessing, error)) from error
    if out is None or done < len(numbers):
        raise DataError(f"{done} images were read where {len(numbers)} are promised.")
    return out


def _culprit(rows: Rows, done: int, preprocessing: Preprocessing, error: Exception) -> str:
    """Which file can't be read, and why."""
    import tensorflow as tf

    for path in rows.paths[done : done + 4 * _AT_ONCE] if isinstance(rows, Files) else ():
        try:
            _from_file(preprocessing)(path)
        except tf.errors.NotFoundError:
            return f"{shown(path)}: the file is gone since it was listed; load the data again."
        except tf.errors.OpError as found:
            return f"{shown(path)}: can't be decoded ({said(found)}); repair or remove the file."
    return f"an image can't be decoded ({said(error)})."
