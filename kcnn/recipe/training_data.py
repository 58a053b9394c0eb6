"""Batches for every purpose of a run, each following from the seed and its purpose alone."""

import math
import zlib
from typing import Any, Protocol

import numpy as np

from kcnn.augment import augmentation
from kcnn.data import Dataset
from kcnn.recipe.problem import Problem
from kcnn.recipe.settings import RecipeError, Settings

__all__ = [
    "ImageData",
    "TrainingData",
    "default_batch_size",
    "lighter",
    "looked_at_once",
    "seed_for",
]

LOOKED_AT = 2**20  # values of a batch that is only looked at: a network holds dozens of copies
FEW, MANY = 8, 256  # images of such a batch, in any case
# Passes over the images; with fewer an augmented network is not done learning: after 12 passes over
# 9,000 images of Fashion-MNIST "crop" had cost 2.4 points.
AUGMENTED_FROM, LIGHT_FROM = 100, 15


class TrainingData(Protocol):
    """What the steps need to know of the data."""

    problem: Problem
    train_images: int
    val_images: int
    augmented_by: str

    def train(self, batch_size: int, *, purpose: str, skip: int = 0) -> Any:
        """Shuffled, augmented batches without an end, from number `skip` on."""

    def val(self) -> Any:
        """The validation images as they are, in order, once."""

    def sample(self, images: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """A few training images of all classes, as they are, and their labels."""

    def augmentation(self, seed: int) -> Any:
        """The layer that augments training images, seeded."""


class ImageData:
    """The images of a data set, augmented on their way into the model.

    Order and augmentation follow from the run's seed and `purpose` alone: not from what was
    trained before, nor from how far another pipeline has read ahead. So two runs draw the same,
    and one that was cut off goes on with the very batches it would have had.
    """

    def __init__(
        self, dataset: Dataset, *, augment: str = "none", seed: int = 0, loss=None, metrics=None
    ):
        self.dataset = dataset
        self.augmented_by = augment_kind(augment, dataset)
        self.seed = seed
        self.train_images, self.val_images = len(dataset.train), len(dataset.val)
        self.problem = Problem(
            classes=dataset.classes,
            input_shape=dataset.image_shape,
            multi_label=dataset.multi_label,
            soft=bool(getattr(self.augmentation(0), "mixes_labels", False)),
            loss=loss,
            metrics=metrics,
        )

    def train(self, batch_size: int, *, purpose: str, skip: int = 0) -> Any:
        seed = seed_for(self.seed, purpose)
        data = self.dataset.train.batches(
            batch_size, shuffle=True, augment=self.augmentation(seed), seed=seed, repeat=True
        )
        return data.skip(skip) if skip else data

    def val(self) -> Any:
        data = self.dataset.val.batches(looked_at_once(self.dataset.image_shape))
        if not self.problem.soft:
            return data
        import tensorflow as tf

        classes = self.problem.classes
        return data.map(lambda x, y: (x, y if y.shape.rank == 2 else tf.one_hot(y, classes)))

    def sample(self, images: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = self.dataset.train.sample(images, seed=seed)
        return np.asarray(x, "float32"), self.problem.labels(y)

    def augmentation(self, seed: int) -> Any:
        kind, _, mix = self.augmented_by.partition("+")
        shape, flip = self.dataset.image_shape, self.dataset.flip
        return augmentation(kind, shape, flip=flip, seed=seed, mix=mix or None)


def looked_at_once(image_shape: tuple[int, ...]) -> int:
    """Images of a batch that is only looked at: fewer of large ones."""
    return max(FEW, min(MANY, LOOKED_AT // math.prod(image_shape)))


def augment_kind(asked: str, dataset: Dataset) -> str:
    """The preset in use: "auto" flips only where a mirrored image keeps its class."""
    auto = "standard" if dataset.flip else "crop"
    if asked in ("mixup", "cutmix"):
        return f"{auto}+{asked}"
    return auto if asked == "auto" else asked


def lighter(kind: str, passes: float) -> str:
    """The augmentation where a training sees each image so many times."""
    if passes >= AUGMENTED_FROM or kind == "none":
        return kind
    return "light" if passes >= LIGHT_FROM else "none"


def default_batch_size(settings: Settings, images: int) -> int:
    """Images per update before the search varies it.

    A dozen updates an epoch or more on small sets, 128 (He et al., section 4.2) on large ones;
    below 16 images the noise of a batch hides what a rate does.

    Raises:
        RecipeError: one was asked for that is more than there are images.
    """
    if settings.batch_size is None:
        return min(images, max(16, min(128, 2 ** max(1, (images // 12).bit_length() - 1))))
    if settings.batch_size > images:
        raise RecipeError(
            f"batch_size={settings.batch_size} is more than the {images} training images; "
            f"give --batch-size {max(2, images // 10)} or less."
        )
    return settings.batch_size


def seed_for(seed: int, purpose: str) -> int:
    """A seed of 31 bits for each purpose of a run."""
    drawn = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    return int(drawn.generate_state(1)[0]) % 2**31
