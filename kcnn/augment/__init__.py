"""Random changes of images that keep their class, batched, for `tf.data` and `model.fit`."""

from kcnn.augment._affine import RandomRotation, RandomShear, RandomTranslation, RandomZoom
from kcnn.augment._base import AugmentationLayer
from kcnn.augment._colour import ColorJitter, RandomGrayscale
from kcnn.augment._cut import RandomCutout, RandomErasing
from kcnn.augment._geometry import RandomCrop, RandomFlip, RandomResizedCrop
from kcnn.augment._mix import CutMix, MixUp, RandomMix
from kcnn.augment._pipeline import Pipeline
from kcnn.augment._presets import Augmentation, augmentation
from kcnn.augment._rand_augment import RandAugment
from kcnn.augment._tone import (
    AutoContrast,
    Equalization,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)

__all__ = [
    "Augmentation",
    "AugmentationLayer",
    "AutoContrast",
    "ColorJitter",
    "CutMix",
    "Equalization",
    "MixUp",
    "Pipeline",
    "RandAugment",
    "RandomCrop",
    "RandomCutout",
    "RandomErasing",
    "RandomFlip",
    "RandomGrayscale",
    "RandomMix",
    "RandomPosterization",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
    "augmentation",
]
