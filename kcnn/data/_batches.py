"""Splits as `tf.data` batches that feed a model without waiting or holding it up."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kcnn.data._record import DataError, Split
from kcnn.data._rows import Arrays

__all__ = ["batches"]

_WORKERS = 2  # threads of a pipeline: the others belong to the training step
_AHEAD = 4  # batches made in advance


def _as_function(augment: Any) -> Callable[[Any], Any]:
    """Call a layer in training mode if it knows one; any other callable as it is."""
    parameters = inspect.signature(getattr(augment, "call", augment)).parameters
    if "training" in parameters:
        return lambda images: augment(images, training=True)
    return augment


def batches(
    split: Split,
    batch_size: int,
    *,
    shuffle: bool = False,
    augment: Any = None,
    seed: int = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
) -> Any:
    """See `Split.batches`; for arrays.

    The batch dimension is None in the element spec, so no batch size makes a model trace again.
    The pipeline keeps to a few threads of its own and is not autotuned: the autotuner takes the
    cores of the training step and can hold the end of a `fit` for seconds.
    """
    import tensorflow as tf

    if int(batch_size) != batch_size or batch_size < 1:
        raise DataError(f"batches: batch_size={batch_size} is not a number of images.")
    images = len(split)
    if images == 0:
        raise DataError("batches: the split is empty.")
    if (shuffle or repeat) and images < batch_size:
        raise DataError(
            f"batches: {images} training images are fewer than one batch of {batch_size}; "
            "use a smaller batch size or more images."
        )
    rows = split.rows
    if not (isinstance(rows, Arrays) and rows.in_memory):
        raise DataError("batches: sets larger than memory are not read yet.")
    with tf.device("CPU:0"):
        x, y = rows.tensor, tf.convert_to_tensor(split.labels)
    order = tf.data.Dataset.range(images)
    if shuffle:
        order = order.shuffle(images, seed=seed, reshuffle_each_iteration=True)
    if repeat:
        order = order.repeat()
    elif drop_remainder:
        # Not batch's own option: that would fix the batch dimension.
        order = order.take(images // batch_size * batch_size)
    result = order.batch(batch_size).map(
        lambda index: (tf.cast(tf.gather(x, index), tf.float32), tf.gather(y, index)),
        num_parallel_calls=_WORKERS,
        deterministic=True,
    )
    if augment is not None:
        transform = _as_function(augment)
        result = result.map(lambda image, label: (transform(image), label))
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = _WORKERS
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return result.prefetch(_AHEAD).with_options(options)
