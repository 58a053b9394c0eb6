"""Chosen images of a split, decoded and resized now."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcnn.data._pipeline import build_pipeline
from kcnn.data._read import said
from kcnn.data._record import DataError, Split
from kcnn.data._rows import Stream

__all__ = ["decode"]

_AT_ONCE = 64  # images handed over at a time, fewer of large ones:
_VALUES = 1 << 19  # of such a batch; a dozen of them as float32 are under way


def decode(split: Split, numbers: np.ndarray, *, skip_bad: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images `numbers` (n, h, w, c), uint8 or float32, in that order; and which of them they are.

    With `skip_bad` those that can't be decoded are left out; else they are a DataError.
    """
    import tensorflow as tf

    order = np.argsort(numbers, kind="stable")  # a stream keeps its order
    wanted = split.subset(numbers[order])
    rows, wanted.labels, wanted.skip_bad = wanted._rows, np.arange(len(numbers)), skip_bad
    stream = isinstance(rows, Stream)
    if stream:
        wanted.cache = None  # read once, here
    at_once = max(1, min(_AT_ONCE, _VALUES // math.prod(split.image_shape)))
    batches = build_pipeline(rows, wanted, at_once)
    out = np.empty((len(numbers), *batches.element_spec[0].shape[1:]), rows.dtype)
    kept: list[Any] = []
    try:
        for images, places in batches.as_numpy_iterator():
            if stream:  # whose labels are its own
                places = sum(map(len, kept)) + np.arange(len(images))
            out[order[places]] = images
            kept.append(order[places])
    except tf.errors.OpError as error:
        raise DataError(said(error)) from error
    there = np.sort(np.concatenate(kept)) if kept else np.zeros(0, int)
    if len(there) < len(numbers) and not skip_bad:
        raise DataError(f"{len(there)} images were read where {len(numbers)} are promised.")
    return (out if len(there) == len(numbers) else out[there]), there
