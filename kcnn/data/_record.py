"""What every source gives: three splits, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kcnn.data._rows import Arrays, Rows, Stream

if TYPE_CHECKING:
    from kcnn.data._cache import ImageCache
    from kcnn.preprocessing import Preprocessing

__all__ = ["HELD", "DataError", "DataWarning", "Dataset", "Split", "rarest_label"]

HELD = 1 << 28  # bytes of pixels up to which a split of files is decoded at once and kept


class DataError(ValueError):
    """Data that can't be trained on: one or two lines saying what, where and what to do.

    >>> kcnn.data.from_arrays(images, [0, 1, 0])
    Traceback (most recent call last):
    kcnn.data._record.DataError: arrays, x and y: 4 images but 3 labels; one label per image is...
    """


@dataclass(frozen=True)
class DataWarning:
    """Data that can be trained on, but perhaps should not: `cause` is a label of CAUSES.md.

    >>> print(DataWarning("data_leak", "2 test images are training images", "remove them"))
    data_leak: 2 test images are training images; remove them
    """

    cause: str
    seen: str
    advice: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.seen}; {self.advice}"


class Split:
    """Images, wherever they lie, and their labels.

    `labels` are int64 (n,), or float32 (n, classes) of zeros and ones where an image has several.
    `Split(x, y)` holds arrays: images (n, h, w, c), uint8 or float32, in 0..255.

    >>> images, labels = next(iter(data.train.batches(64)))
    >>> images.shape, labels.shape
    (TensorShape([64, 8, 8, 1]), TensorShape([64]))
    """

    def __init__(
        self,
        rows: Rows | Any,
        labels: Any,
        *,
        preprocessing: Preprocessing | None = None,
        classes: int | None = None,
        cache: ImageCache | None = None,
        skip_bad: bool = False,
    ) -> None:
        self._rows: Rows = rows if isinstance(rows, Rows) else Arrays(rows)
        self.labels = labels
        self.preprocessing = preprocessing
        self.classes, self.cache, self.skip_bad = classes, cache, skip_bad

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        kind = type(self._rows).__name__.lower()
        return f"<Split of {len(self)} images in {kind}>"

    @property
    def y(self) -> Any:
        """The labels, by the name Keras's users know."""
        return self.labels

    @property
    def in_memory(self) -> bool:
        """Whether all images lie in one array `x`, or do once they are asked for."""
        if isinstance(self._rows, Arrays):
            return self._rows.in_memory
        return len(self) * int(np.prod(self.image_shape)) <= HELD

    @property
    def x(self) -> Any:
        """All images (n, h, w, c) as one array, where they lie in memory; DataError otherwise."""
        return self._held.x

    @cached_property
    def _held(self) -> Arrays:
        """All images in memory; the files of a small set are decoded when first asked for."""
        if not self.in_memory:
            raise DataError(
                f"Split.x: the {len(self)} images are read from disk as they are needed and lie in "
                "no array; use images(indices) for a few of them, or batches(n) for all."
            )
        if isinstance(self._rows, Arrays):
            return self._rows
        from kcnn.data._decode import decode

        images, kept = decode(self, np.arange(len(self)), skip_bad=self.skip_bad)
        if len(kept) < len(self):
            self._rows, self.labels = self._rows.take(kept), self.labels[kept]
        return Arrays(images)

    @property
    def rows(self) -> Rows:
        """Where the images lie."""
        return self._held if self.in_memory else self._rows

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image that batches give."""
        if self.preprocessing is not None:
            height, width = self.preprocessing.size
            return height, width, self.preprocessing.channels
        assert isinstance(self._rows, Arrays)  # everything else comes with a preprocessing
        return self._rows.image_shape

    def batches(
        self,
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
        """A `tf.data.Dataset` of (images float32 in 0..255 (b, h, w, c), labels (b,)).

        shuffle: a new full permutation in every epoch, drawn from `seed` (and from TensorFlow's
            global seed if one is set); training data, so a split smaller than one batch is a
            DataError.
        augment: a Keras or keras-cv layer, or any callable, that takes and gives a batch of
            images. It is called one batch after the other, so a seeded layer gives the same
            images every time. One that mixes labels (`mixes_labels`) gets and gives a dictionary
            with "images" and one-hot "labels"; labels are float32 (b, classes) then.
        crop: a `kcnn.augment.RandomResizedCrop`: a random part of each file, cut out before it is
            resized, as torchvision's takes it, instead of the whole picture; of a JPEG no more
            than that part is decoded. Files are decoded anew in every epoch then.
        drop_remainder: leave out the images that fill no batch (others each epoch when shuffled),
            so that BatchNorm never sees a batch of one or two.
        repeat: go on for ever; then every batch is full. Otherwise the last one may be smaller.
        shard: (index, count): the part of worker `index` of `count`. With the same seed on all of
            them every image is in the part of exactly one in every epoch, and none reads or
            decodes another's files; see `kcnn.distribute.fit`.
        """
        from kcnn.data._pipeline import build_pipeline

        # A small set is decoded now, and perhaps what can't be is left out.
        rows = self.rows if crop is None else self._rows
        return build_pipeline(
            rows,
            self,
            batch_size,
            shuffle=shuffle,
            augment=augment,
            crop=crop,
            seed=seed,
            repeat=repeat,
            drop_remainder=drop_remainder,
            shard=shard,
        )

    def images(self, indices: Any) -> np.ndarray:
        """Images `indices` (k,), decoded and resized now: (k, h, w, c), uint8 or float32."""
        indices = np.asarray(indices)
        if "_held" in vars(self) or (isinstance(self._rows, Arrays) and self._rows.in_memory):
            return self._held.read(indices)
        from kcnn.data._decode import decode

        return decode(self, indices, skip_bad=False)[0]

    def subset(self, indices: Any) -> Split:
        """The images `indices` (k,) and their labels alone; those of a stream in its order."""
        indices = np.asarray(indices)
        if isinstance(self._rows, Stream):
            indices = np.sort(indices)
        return Split(
            self._rows.take(indices),
            self.labels[indices],
            preprocessing=self.preprocessing,
            classes=self.classes,
            cache=self.cache,
            skip_bad=self.skip_bad,
        )

    def sample(self, n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """At most `n` images, as evenly over the classes as the labels allow, and their labels."""
        chosen = spread_over_classes(rarest_label(self.labels), n, seed)
        return self.images(chosen), self.labels[chosen]


def rarest_label(labels: np.ndarray) -> np.ndarray:
    """One class number per image (n,): of several labels that of the rarest class; -1 for none."""
    if labels.ndim == 1:
        return labels
    rarity = np.where(labels > 0, 1.0 / np.maximum(labels.sum(axis=0), 1.0), 0.0)
    return np.where(labels.any(axis=1), rarity.argmax(axis=1), -1)


def spread_over_classes(labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Indices of `n` labels, sorted: one of every class, then another of every class, and so on."""
    order = np.random.default_rng(seed).permutation(len(labels))
    place_in_class = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place_in_class[members] = np.arange(len(members))
    ranked = order[np.argsort(place_in_class[order], kind="stable")]
    return np.sort(ranked[:n])


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image classification set: what to train on, what to choose by, what to report on.

    `flip` says whether a horizontally mirrored image keeps its class. `notes` tells, in plain
    sentences, what was done to the source (scaled, resized, split, skipped) and what was guessed;
    `warnings` what makes its results doubtful. `fingerprint` is a hash over all images and labels.
    The images of each split stand in random order (drawn from the seed), never sorted by class.

    >>> len(data.train), len(data.val), len(data.test), data.class_names[:2]
    (1294, 144, 359, ('0', '1'))
    """

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]
    preprocessing: Preprocessing | None = None
    multi_label: bool = False
    flip: bool = True
    notes: tuple[str, ...] = ()
    warnings: tuple[DataWarning, ...] = ()
    fingerprint: str = ""

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels), the same for every image."""
        return self.train.image_shape

    def replace(self, **changes: Any) -> Dataset:
        """A copy with some fields changed."""
        return replace(self, **changes)
