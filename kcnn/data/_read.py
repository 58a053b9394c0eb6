"""Batches of files: read, decoded and resized on all cores, from the cache where they lie there."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import numpy as np

from kcnn.data._one_file import file_loader, from_any_format, with_boxes
from kcnn.data._rows import Files

__all__ = ["AHEAD", "THREADS", "file_batches", "said"]

# The one place that says with how many threads images are read: as many as this process may use.
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
AHEAD = 4  # batches made in advance


def file_batches(
    rows: Files,
    preprocessing: Any,
    order: Any,
    *,
    cache: Any = None,
    skip_bad: bool = False,
    crop: Any = None,
    seed: int = 0,
    floats: bool = False,
) -> Any:
    """(index, images uint8) for the batches of indices that `order` gives, in its order.

    floats: images are float32 where no cache wants them smaller, which saves a pass over them.
    crop: a `RandomResizedCrop`: of each file a part, another in each epoch, drawn from `seed`.
    """
    import tensorflow as tf

    keep = _Keeper(rows, preprocessing, cache, skip_bad)
    dtype = tf.float32 if floats and cache is None else tf.uint8
    load = file_loader(rows, preprocessing, dtype, part=crop is not None)
    if crop is not None:
        order = with_boxes(order, rows, crop, seed)
    shape = preprocessing.image_shape
    nothing = tf.data.Dataset.from_tensors((tf.zeros((0,), tf.int64), tf.zeros((0, *shape), dtype)))

    def decoded(index: Any, *boxes: Any) -> Any:
        """One element: the index, and what of it had to be decoded and could be."""
        lacking = index
        if cache is not None:
            lacking = tf.ensure_shape(tf.numpy_function(keep.lacking, [index], tf.int64), (None,))
        images = tf.data.Dataset.from_tensor_slices((lacking, *boxes)).map(load).ignore_errors()
        images = images.batch(tf.maximum(tf.size(index, tf.int64), 1)).concatenate(nothing).take(1)
        return images.map(lambda found, images: (index, found, images))

    # Each batch is decoded by one thread and as many batches at a time as there are threads.
    batches = order.interleave(
        decoded, cycle_length=THREADS, num_parallel_calls=THREADS, deterministic=True
    )

    def complete(index: Any, found: Any, images: Any) -> tuple[Any, Any]:
        def mended() -> tuple[Any, Any]:
            types = (tf.int64, dtype, tf.string)
            kept, whole, error = tf.numpy_function(keep.whole, [index, found, images], types)
            check = tf.debugging.Assert(error == "", [error])
            with tf.control_dependencies([check]):
                return tf.identity(kept), tf.identity(whole)

        if cache is not None:
            kept, whole = mended()
        else:
            good = tf.size(found) == tf.size(index)
            kept, whole = tf.cond(good, lambda: (index, images), mended)
        return tf.ensure_shape(kept, (None,)), tf.ensure_shape(whole, (None, *shape))

    result = batches.map(complete, num_parallel_calls=THREADS, deterministic=True)
    return result.filter(lambda index, _: tf.size(index) > 0) if skip_bad else result


class _Keeper:
    """Puts a batch together from what was decoded and what the cache holds; names what is bad."""

    def __init__(self, rows: Files, preprocessing: Any, cache: Any, skip_bad: bool) -> None:
        self._rows, self._preprocessing, self._skip_bad = rows, preprocessing, skip_bad
        self._cache = cache
        self._places: Any = None if cache is None else cache.places(rows.paths)
        self._bad: set[int] = set()

    def lacking(self, index: np.ndarray) -> np.ndarray:
        """The numbers of which the cache holds nothing."""
        return index[~self._cache.holds(self._places[index])]

    def whole(
        self, index: np.ndarray, found: np.ndarray, images: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, bytes]:
        """(numbers, their images, error or nothing), in the order of `index`."""
        try:
            return self._whole(index, found, images)
        except Exception as error:  # as text, since an exception would drag its traceback along
            return index[:0], images[:0], f"{type(error).__name__}: {error}".encode()

    def _whole(self, index: np.ndarray, found: np.ndarray, images: np.ndarray) -> Any:
        if self._cache is not None and len(found):
            self._cache.write(self._places[found], images)
        if len(found) == len(index):
            return index, images, b""
        position = {number: place for place, number in enumerate(index.tolist())}
        at = np.array([position[number] for number in found.tolist()], int)
        have = np.zeros(len(index), bool)
        out = np.empty((len(index), *images.shape[1:]), images.dtype)
        out[at], have[at] = images, True
        if self._cache is not None:
            rest = np.flatnonzero(~have)
            read = self._cache.read(self._places[index[rest]], out, rest)
            have[rest[read]] = True
        if have.all():
            return index, out, b""
        for number in index[~have].tolist():
            reason = _reason(self._rows.paths[number], self._preprocessing)
            if not self._skip_bad:
                # Said here too: `fit` shows the error below a page of TensorFlow's own.
                warnings.warn(reason, stacklevel=2)
                return index[:0], out[:0], reason.encode("utf-8", "surrogateescape")
            if number not in self._bad:
                self._bad.add(number)
                warnings.warn(f"{reason} Left out; {len(self._bad)} so far.", stacklevel=2)
        return index[have], out[have], b""


def _reason(path: bytes, preprocessing: Any) -> str:
    """Why a file can't be used, in a sentence that names it."""
    import tensorflow as tf

    name = path.decode("utf-8", "backslashreplace")
    name = name if name.isprintable() else repr(name)
    try:
        with open(path, "rb") as file:
            data = file.read()
        from_any_format(preprocessing)(data)
    except FileNotFoundError:
        return f"{name}: the file is gone since it was first looked at; load the data again."
    except OSError as error:
        return f"{name}: the file can't be read ({error.strerror})."
    except tf.errors.OpError as error:
        return f"{name}: the file can be decoded no more ({said(error)}); repair or remove it."
    return f"{name}: was unreadable for a moment; try again."


def said(error: Any) -> str:
    """What TensorFlow says of an error, in one line, without where in the graph it came up."""
    lines = [line.strip() for line in str(error.message).splitlines()]
    noise = ("Graph execution error", "Detected at node", "File ", "[[", "{{")
    told = [line for line in lines if line and not line.startswith(noise)] or lines
    # An assertion's words stand in brackets, after which iterator and which operation met it.
    words = re.search(r"assertion failed: \[(.*?)\](?: \[|$)", told[0])
    return (words[1] if words else told[0])[:300]
