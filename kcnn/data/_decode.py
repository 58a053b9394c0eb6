"""Files decoded now, many at a time; one that can't be is named."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kcnn.data._manifest import shown
from kcnn.data._record import DataError
from kcnn.data._rows import Files
from kcnn.preprocessing import Preprocessing

__all__ = ["decode_files"]

_AT_ONCE = 64  # images handed over at a time


def decode_files(files: Files, preprocessing: Preprocessing) -> np.ndarray:
    """All images (n, h, w, c), uint8, in order."""
    import tensorflow as tf

    def read(path: Any) -> Any:
        return tf.cast(preprocessing.from_bytes(tf.io.read_file(path)), tf.uint8)

    out = np.empty((len(files), *preprocessing.size, preprocessing.channels), np.uint8)
    with tf.device("CPU:0"):
        paths = tf.data.Dataset.from_tensor_slices(list(files.paths) or [b""]).take(len(files))
        images = paths.map(read, num_parallel_calls=os.cpu_count(), deterministic=True)
        done = 0
        try:
            for batch in images.batch(_AT_ONCE):
                out[done : done + len(batch)] = batch.numpy()
                done += len(batch)
        except tf.errors.OpError as error:
            raise DataError(
                _culprit(files.paths[done : done + 4 * _AT_ONCE], read, error)
            ) from error
    return out


def _culprit(paths: Any, read: Any, error: Exception) -> str:
    """Which of `paths` can't be read, and why."""
    import tensorflow as tf

    for path in paths:
        try:
            read(path)
        except tf.errors.NotFoundError:
            return f"{shown(path)}: the file is gone since it was listed; load the data again."
        except tf.errors.OpError as found:
            reason = shown(found.message.strip().splitlines()[0])
            return f"{shown(path)}: can't be decoded ({reason:.200}); repair or remove the file."
    return f"files can't be decoded: {shown(str(error).splitlines()[0])}"
