"""Chosen images of a split, decoded and resized now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kcnn.data._pipeline import build_pipeline
from kcnn.data._read import said
from kcnn.data._record import DataError
from kcnn.data._rows import Rows, Stream

if TYPE_CHECKING:
    from kcnn.data._cache import ImageCache
    from kcnn.preprocessing import Preprocessing

__all__ = ["decode"]

_AT_ONCE = 64  # images handed over at a time


def decode(
    rows: Rows,
    numbers: np.ndarray,
    preprocessing: Preprocessing | None,
    *,
    cache: ImageCache | bool | None = None,
    skip_bad: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Images `numbers` (n, h, w, c), uint8 or float32, in that order; and which of them they are.

    With `skip_bad` those that can't be decoded are left out; else they are a DataError.
    """
    import tensorflow as tf

    order = np.argsort(numbers, kind="stable")  # a stream keeps its order
    wanted = rows.take(numbers[order])
    if isinstance(wanted, Stream):
        cache = None  # read once, here
    batches = build_pipeline(
        wanted,
        np.arange(len(numbers)),
        preprocessing,
        _AT_ONCE,
        cache=cache,
        skip_bad=skip_bad,
    )
    dtype = np.dtype(np.uint8 if _whole(wanted) else np.float32)
    out = np.empty((len(numbers), *batches.element_spec[0].shape[1:]), dtype)
    kept: list[Any] = []
    try:
        for images, places in batches.as_numpy_iterator():
            if isinstance(wanted, Stream):  # whose labels are its own
                places = sum(map(len, kept)) + np.arange(len(images))
            out[order[places]] = images
            kept.append(order[places])
    except tf.errors.OpError as error:
        raise DataError(said(error)) from error
    there = np.sort(np.concatenate(kept)) if kept else np.zeros(0, int)
    if len(there) < len(numbers) and not skip_bad:
        raise DataError(f"{len(there)} images were read where {len(numbers)} are promised.")
    return (out if len(there) == len(numbers) else out[there]), there


def _whole(rows: Rows) -> bool:
    """Whether images come as bytes of files, or as whole numbers to begin with."""
    if isinstance(rows, Stream):
        return rows.of_bytes
    return getattr(rows, "dtype", np.uint8) == np.uint8
