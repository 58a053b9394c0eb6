"""Features computed once: a frozen backbone gives the same ones in every epoch."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kcnn.transfer._heads import feature_model
from kcnn.transfer._store import Rows

__all__ = ["CachedFeatures", "cache_features"]

MEMORY = 2**28  # bytes in memory; 256 MB hold ResNet-50's features of 32,000 images


@dataclass(frozen=True)
class CachedFeatures:
    """What a frozen backbone makes of a data set, seen `views` times.

    `x` are the features (views, images, ...) and `y` their labels (views, images, ...).

    >>> features = kcnn.transfer.CachedFeatures(np.zeros((2, 5, 16)), np.zeros((2, 5)))
    >>> len(features), features.views
    (5, 2)
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return int(self.x.shape[1])

    @property
    def views(self) -> int:
        """How many times each image was seen, each time augmented anew."""
        return int(self.x.shape[0])

    def batches(
        self, batch_size: int, *, shuffle: bool = False, seed: int = 0
    ) -> keras.utils.PyDataset:
        """Batches for `fit`, one view in each epoch and the first again after the last."""
        return _Batches(self, batch_size, shuffle, seed)


class _Batches(keras.utils.PyDataset):
    def __init__(self, cached: CachedFeatures, batch_size: int, shuffle: bool, seed: int):
        super().__init__()
        self.cached, self.batch_size, self.shuffle, self.seed = cached, batch_size, shuffle, seed
        self.epoch = 0
        self._arrange()

    def _arrange(self) -> None:
        images = len(self.cached)
        rng = np.random.default_rng((self.seed, self.epoch))
        self.order = rng.permutation(images) if self.shuffle else np.arange(images)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._arrange()

    def __len__(self) -> int:
        return math.ceil(len(self.cached) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        view = self.epoch % self.cached.views
        return np.asarray(self.cached.x[view][rows]), np.asarray(self.cached.y[view][rows])


def cache_features(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    views: int = 1,
    augment: Any = None,
    batch_size: int = 32,
    seed: int = 0,
    max_bytes: int = MEMORY,
    folder: str | os.PathLike[str] | None = None,
) -> CachedFeatures:
    """The features that the head of a frozen `model` sees, of every image of a data set.

    Args:
        model: from `linear_probe`.
        x, y: arrays of images (n, h, w, c) and labels; or x alone, a `Split` of kcnn.data or
            anything that gives batches (images, labels) each time it is gone through, such
            as a `tf.data.Dataset`.
        views: how many times the data is gone through. More than one pays with `augment`, or
            with batches that are augmented anew each time: eight views give the probe one to
            three points in benchmarks/transfer.py.
        augment: a layer of kcnn.augment, keras or keras-cv, for arrays and for a `Split`.
        batch_size: of arrays and of a `Split`.
        seed: of a `Split`'s augmentation.
        max_bytes: of features held in memory; more lie in a temporary file.
        folder: for that file; the system's if left out.

    Raises:
        ValueError: a model that `linear_probe` did not make, data without images or end, or
            views that differ in length.

    >>> body = kcnn.create_model("resnet8", classes=10, input_shape=(8, 8, 3))
    >>> probe = kcnn.transfer.linear_probe(body, 10)
    >>> kcnn.transfer.cache_features(probe, images, one_hot).x.shape
    (1, 4, 64)
    """
    if views < 1:
        raise ValueError(f"cache_features: views must be at least 1. Received: {views!r}.")
    network = feature_model(model, "cache_features")
    features, labels = Rows(max_bytes, folder), Rows(max_bytes, folder)
    images = None
    for view in range(views):
        before = features.count
        for batch, target in _batches(x, y, batch_size, augment, seed + view):
            features.append(np.asarray(network.predict_on_batch(batch)))
            labels.append(np.asarray(target))
        seen = features.count - before
        if images not in (None, seen) or seen == 0:
            raise ValueError(
                f"cache_features: the data must give the same images each time. Received: {seen} "
                f"in pass {view + 1}" + (f" after {images}." if images else ".")
            )
        images = seen
    x, y = features.array(), labels.array()
    return CachedFeatures(x.reshape(views, -1, *x.shape[1:]), y.reshape(views, -1, *y.shape[1:]))


def _batches(x: Any, y: Any, batch_size: int, augment: Any, seed: int) -> Iterator[tuple[Any, Any]]:
    """(images, labels) of arrays, of a Split or of an iterable, once through."""
    if y is not None:
        return _of_arrays(x, np.asarray(y), batch_size, augment)
    if hasattr(x, "batches"):
        return iter(x.batches(batch_size, augment=augment, seed=seed))
    if augment is not None:
        raise ValueError(
            "cache_features: augment is for arrays and Splits; augment these batches before."
        )
    if hasattr(x, "cardinality") and int(x.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise ValueError("cache_features: the data set repeats for ever; leave `repeat` out.")
    if isinstance(x, keras.utils.PyDataset):
        return (x[i] for i in range(len(x)))
    if isinstance(x, np.ndarray) or not hasattr(x, "__iter__"):
        raise ValueError(
            "cache_features: the labels are missing; give images and labels, a Split, or batches "
            f"of both. Received: {type(x).__name__}."
        )
    return (batch[:2] for batch in x)


def _of_arrays(x: Any, y: np.ndarray, batch_size: int, augment: Any) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(x), batch_size):
        images, labels = x[start : start + batch_size], y[start : start + batch_size]
        if augment is not None:
            images, labels = _augmented(augment, images, labels)
        yield images, labels


def _augmented(augment: Any, images: Any, labels: Any) -> tuple[Any, Any]:
    images = keras.ops.convert_to_tensor(images, "float32")
    if getattr(augment, "mixes_labels", False):
        mixed = augment({"images": images, "labels": labels}, training=True)
        return mixed["images"], mixed["labels"]
    return augment(images, training=True), labels
