"""Splits as `tf.data` batches that feed a model without waiting or holding it up."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kcnn.data._decode import decoded
from kcnn.data._record import DataError, Split
from kcnn.data._rows import Arrays, Files, Stream

__all__ = ["batches"]

_WORKERS = 2  # threads of a pipeline: the others belong to the training step
_AHEAD = 4  # batches made in advance
_BUFFER = 4096  # elements of a stream that are shuffled together


def _as_function(augment: Any) -> Callable[[Any], Any]:
    """Call a layer in training mode if it knows one; any other callable as it is."""
    parameters = inspect.signature(getattr(augment, "call", augment)).parameters
    if "training" in parameters:
        return lambda images: augment(images, training=True)
    return augment


def _ordered(order: Any, split: Split, batch_size: int) -> Any:
    """Batches of arrays or files in the order of a `tf.data.Dataset` of numbers."""
    import tensorflow as tf

    rows = split.rows
    with tf.device("CPU:0"):
        y = tf.convert_to_tensor(split.labels)
        if isinstance(rows, Files):
            paths = tf.constant(list(rows.paths))
            pairs = order.map(lambda i: (paths[i], y[i]))
            return decoded(pairs, split.preprocessing, from_files=True).batch(batch_size)
        assert isinstance(rows, Arrays)
        if rows.in_memory:
            x = rows.tensor
            return order.batch(batch_size).map(
                lambda i: (tf.gather(x, i), tf.gather(y, i)),
                num_parallel_calls=_WORKERS,
                deterministic=True,
            )

        def read(index: Any) -> Any:
            images = tf.numpy_function(rows.read, [index], rows.dtype)
            images.set_shape((None, *rows.image_shape))
            if split.preprocessing is not None:
                images = split.preprocessing.resized(images)
            return images, tf.gather(y, index)

        return order.batch(batch_size).map(read, num_parallel_calls=_WORKERS, deterministic=True)


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
    """See `Split.batches`.

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
    if isinstance(rows, Stream):
        pairs = rows.make()
        if shuffle:
            pairs = pairs.shuffle(min(images, _BUFFER), seed=seed, reshuffle_each_iteration=True)
        if repeat:
            pairs = pairs.repeat()
        elif drop_remainder:
            pairs = pairs.take(images // batch_size * batch_size)
        result = decoded(pairs, split.preprocessing, from_files=False).batch(batch_size)
    else:
        order = tf.data.Dataset.range(images)
        if shuffle:
            order = order.shuffle(images, seed=seed, reshuffle_each_iteration=True)
        if repeat:
            order = order.repeat()
        elif drop_remainder:
            # Not batch's own option: that would fix the batch dimension.
            order = order.take(images // batch_size * batch_size)
        result = _ordered(order, split, batch_size)
    result = result.map(lambda x, y: (tf.cast(x, tf.float32), y))
    if augment is not None:
        transform = _as_function(augment)
        result = result.map(lambda image, label: (transform(image), label))
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = _WORKERS
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return result.prefetch(_AHEAD).with_options(options)
