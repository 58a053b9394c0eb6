"""Rows and labels as a `tf.data` pipeline of batches that neither waits nor holds up a model."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from kcnn.data._read import AHEAD, THREADS, file_batches
from kcnn.data._record import DataError
from kcnn.data._rows import Arrays, Files, Rows, Stream
from kcnn.data._stream_pairs import stream_pairs

__all__ = ["build_pipeline", "image_batches"]

SHUFFLED = 1 << 28  # bytes of a stream's images that wait to be shuffled together
AT_ONCE: dict[str, Any] = {"num_parallel_calls": THREADS, "deterministic": True}
SHUFFLED_MOST = 8192  # and how many at most: more of them give no better order
LISTED = 1 << 20  # numbers shuffled in a list, which takes some 200 bytes for each


def build_pipeline(
    rows: Rows,
    split: Any,
    batch_size: int,
    *,
    shuffle: bool = False,
    augment: Any = None,
    crop: Any = None,
    seed: int = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Any:
    """`split.batches` of its images in `rows`; of a stream, images are shuffled within a window.

    The batch dimension is None in the element spec, so no batch size makes a model trace again.
    The pipeline has threads of its own, one for each core, and is not autotuned: the autotuner can
    hold the end of a `fit` for seconds.
    """
    import tensorflow as tf

    if int(batch_size) != batch_size or batch_size < 1:
        raise DataError(f"batches: batch_size={batch_size} is not a number of images.")
    worker, workers = shard
    if not 0 <= worker < workers:
        raise DataError(f"batches: shard={shard} is no (index, count) with 0 <= index < count.")
    images = len(rows) // workers  # the least that a worker gets
    if images == 0:
        raise DataError(
            f"batches: {len(rows)} images are none for each of {workers} workers."
            if len(rows)
            else "batches: the split is empty."
        )
    if (shuffle or repeat) and images < batch_size:
        raise DataError(
            f"batches: {images} training images are fewer than one batch of {batch_size}; "
            "use a smaller batch size or more images."
        )

    preprocessing = split.preprocessing
    if crop is not None:
        _refuse_crop(crop, rows, preprocessing)

    def arranged(elements: Any) -> Any:
        elements = elements.shard(workers, worker) if workers > 1 else elements
        if repeat:
            return elements.repeat()
        # Not batch's own option: that would fix the batch dimension.
        return elements.take(images // batch_size * batch_size) if drop_remainder else elements

    with tf.device("CPU:0"):
        if isinstance(rows, Stream):
            pairs = stream_pairs(rows, split)
            if shuffle:
                window = _window(pairs.element_spec[0], len(rows))
                pairs = pairs.shuffle(window, seed=seed, reshuffle_each_iteration=True)
            result = arranged(pairs).batch(batch_size)
            result = result.map(lambda x, y: (tf.cast(x, tf.float32), y), **AT_ONCE)
        else:
            order = _permuted(len(rows), seed) if shuffle else tf.data.Dataset.range(len(rows))
            order = arranged(order).batch(batch_size)
            y = tf.convert_to_tensor(split.labels)
            if isinstance(rows, Files):
                options = {"cache": split.cache} if crop is None else {"crop": crop, "seed": seed}
                options["skip_bad"] = split.skip_bad
                found = file_batches(rows, preprocessing, order, floats=True, **options)
            else:
                found = _array_batches(rows, preprocessing, order)
            result = found.map(
                lambda index, x: (tf.cast(x, tf.float32), tf.gather(y, index)), **AT_ONCE
            )
    if augment is not None:
        result = _augmented(result, augment, split)
    return _with_threads(result.prefetch(AHEAD), split_operations=augment is not None)


def _permuted(count: int, seed: int) -> Any:
    """The numbers below `count` in another random order each time; very many are not listed."""
    import tensorflow as tf

    numbers = tf.data.Dataset.range(count)
    if count <= LISTED:
        return numbers.shuffle(count, seed=seed, reshuffle_each_iteration=True)

    def order(key: Any) -> Any:
        keys = tf.stack([key, count])
        return numbers.map(
            lambda number: tf.random.experimental.index_shuffle(number, keys, count - 1)
        )

    return tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1).flat_map(order)


def _refuse_crop(crop: Any, rows: Rows, preprocessing: Any) -> None:
    """DataError where no part can be cut out of files."""
    if not isinstance(rows, Files):
        raise DataError(
            "batches: crop= cuts parts out of image files, but these images lie in "
            f"{type(rows).__name__.lower()}; let it be a layer of augment= instead."
        )
    if any(
        side not in (None, own) for side, own in zip(crop.size, preprocessing.size, strict=True)
    ):
        raise DataError(
            f"batches: crop of size {crop.size}, but images are {preprocessing.size}; leave its "
            "size out."
        )


def image_batches(split: Any, batch_size: int) -> Any:
    """All images of a split once, in order, as they are stored: for a look at them, no training."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        if isinstance(split.rows, Stream):
            pairs = stream_pairs(split.rows, split).batch(batch_size)
            return _with_threads(pairs.map(lambda images, _: images).prefetch(AHEAD))
        order = tf.data.Dataset.range(len(split)).batch(batch_size)
        found = file_batches(
            split.rows, split.preprocessing, order, cache=split.cache, skip_bad=split.skip_bad
        )
        return _with_threads(found.map(lambda _, images: images).prefetch(AHEAD))


def _with_threads(dataset: Any, *, split_operations: bool = False) -> Any:
    """With threads of its own, one for each core, in a fixed order and without the autotuner.

    split_operations: over threads, each of them; or not, where all threads have batches already.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = THREADS
    if not split_operations:
        options.threading.max_intra_op_parallelism = 1
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return dataset.with_options(options)


def _array_batches(rows: Arrays, preprocessing: Any, order: Any) -> Any:
    """(index, images) for batches of indices."""
    import tensorflow as tf

    if rows.in_memory:
        x = rows.tensor

    def read(index: Any) -> Any:
        if rows.in_memory:
            return tf.gather(x, index)
        images = tf.numpy_function(rows.read, [index], rows.dtype)
        return tf.ensure_shape(images, (None, *rows.image_shape))

    resize = preprocessing is not None and preprocessing.size not in (None, rows.image_shape[:2])

    def images(index: Any) -> Any:
        found = read(index)
        return index, preprocessing.resized(found) if resize else found

    return order.map(images, num_parallel_calls=THREADS, deterministic=True)


def _window(spec: Any, images: int) -> int:
    size = int(np.prod([side or 1 for side in spec.shape])) * spec.dtype.size
    return max(1, min(images, SHUFFLED // size, SHUFFLED_MOST))


def _augmented(batches: Any, augment: Any, split: Any) -> Any:
    import tensorflow as tf

    parameters = inspect.signature(getattr(augment, "call", augment)).parameters
    options = {"training": True} if "training" in parameters else {}
    if not getattr(augment, "mixes_labels", False):
        return batches.map(lambda images, y: (augment(images, **options), y))
    classes = split.classes
    if np.ndim(split.labels) == 1 and classes is None:
        classes = int(np.max(split.labels)) + 1

    def mix(images: Any, y: Any) -> tuple[Any, Any]:
        y = tf.one_hot(y, classes) if y.shape.rank == 1 else tf.cast(y, tf.float32)
        out = augment({"images": images, "labels": y}, **options)
        return out["images"], out["labels"]

    return batches.map(mix)
