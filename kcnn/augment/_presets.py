"""One word for a whole augmentation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras

from kcnn.augment._affine import RandomZoom
from kcnn.augment._arguments import as_choice
from kcnn.augment._base import AugmentationLayer
from kcnn.augment._colour import ColorJitter
from kcnn.augment._cut import RandomCutout, RandomErasing
from kcnn.augment._geometry import RandomCrop, RandomFlip, RandomResizedCrop
from kcnn.augment._mix import CutMix, MixUp, RandomMix
from kcnn.augment._pipeline import Pipeline
from kcnn.augment._rand_augment import RandAugment

__all__ = ["KINDS", "LIBRARIES", "MIXES", "Augmentation", "augmentation"]

KINDS = ("none", "light", "crop", "standard", "strong")
OWN = ("light", "strong")  # made for library="kcnn" alone
LIBRARIES = ("kcnn", "keras-cv")
SHIFT = 1 / 14  # of each side, of "light": two pixels of 28
MIXES = {"mixup": MixUp, "cutmix": CutMix, "either": RandomMix}


def _crop() -> list[AugmentationLayer]:
    """Black padding of an eighth, a crop, and each side at 0.8 to 1.1 of its size."""
    zoom = RandomZoom((-0.2, 0.1), (-0.2, 0.1), fill_mode="constant")
    return [RandomCrop(padding=1 / 8), zoom]


def _layers(kind: str, flip: bool) -> list[AugmentationLayer]:
    mirror = [RandomFlip("horizontal")] if flip else []
    if kind == "none":
        return []
    if kind == "light":
        return [*mirror, RandomCrop(padding=SHIFT)]
    if kind == "crop":
        return _crop()
    if kind == "strong":
        part = RandomResizedCrop(scale=(0.35, 1.0))
        return [
            *mirror,
            part,
            RandAugment(2, 0.3, max_rotation=1 / 4),
            RandomErasing(fill_value=0.0, rate=0.25),
        ]
    return [*mirror, *_crop(), ColorJitter(0.2, 0.2, 0.2, 0.03), RandomCutout(1 / 4, 1 / 4)]


@keras.saving.register_keras_serializable(package="kcnn")
class Augmentation(Pipeline):
    """A preset as one Keras layer: (batch, h, w, c) in 0..255 to the same, float32.

    A `Pipeline` of the layers that `kind` stands for. "none" changes nothing; "light", for few
    passes over the images, flips horizontally (unless `flip` is False) and shifts by up to a
    fourteenth; "crop" pads by an eighth, crops, and scales each side by 0.8 to 1.1; "standard" adds
    those flips, colour jitter (for one channel brightness and contrast alone) and cutout of a
    quarter of each side; "strong", for long trainings, crops 0.35 to 1 of the area, does two of
    `RandAugment`'s operations on each image and erases a rectangle in one of four. Sizes follow the
    image's, so 8x8 works as well as 224x224. The same `seed` gives the same images.

    mix: "mixup", "cutmix" or "either" (each image one of the two) after all that; the layer then
        takes a dictionary of "images" and one-hot float "labels", and gives soft labels: train with
        `keras.losses.CategoricalCrossentropy` and `keras.metrics.CategoricalAccuracy`.
    library: "kcnn" fuses the layers of `kcnn.augment` (benchmarks/augment.py); "keras-cv" chains
        keras-cv's public layers, with about the same ranges.

    >>> Augmentation("crop", (8, 8, 3), seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        kind: str,
        image_shape: Sequence[int],
        *,
        flip: bool = True,
        mix: str | None = None,
        library: str = "kcnn",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        as_choice(kind, KINDS, self, "kind")
        as_choice(library, LIBRARIES, self, "library")
        if mix is not None:
            as_choice(mix, tuple(MIXES), self, "mix")
        shape = tuple(int(side) for side in image_shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(
                f"Augmentation: image_shape={image_shape} is not (height, width, channels)."
            )
        if library == "keras-cv" and kind in OWN:
            raise ValueError(f"Augmentation: {kind!r} is made for library='kcnn' alone.")
        seed = random.randrange(2**31) if seed is None else int(seed)
        layers = _layers(kind, flip) if library == "kcnn" else []
        layers += [] if mix is None else [MIXES[mix]()]
        super().__init__(layers, seed=seed, **kwargs)
        self.kind, self.image_shape, self.flip = kind, shape, flip
        self.mix, self.library = mix, library
        self.others: list[Any] = []
        if library == "keras-cv" and kind != "none":
            from kcnn.augment._keras_cv import keras_cv_layers

            self.refuses |= {"bounding_boxes", "segmentation_masks", "keypoints"}
            self.others = keras_cv_layers(kind, shape, seed=seed, flip=flip)

    def call(self, inputs: Any, training: bool = True) -> Any:
        if not (training and self.others):
            return super().call(inputs, training=training)
        named = isinstance(inputs, dict)
        images = inputs["images"] if named else inputs
        for layer in self.others:
            images = layer(images)
        images = keras.ops.clip(images, 0.0, 255.0)
        return super().call({**inputs, "images": images} if named else images)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["layers"]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Augmentation:
        return cls(**config)


def augmentation(kind: str, image_shape: Sequence[int], **options: Any) -> Augmentation:
    """The preset `kind` for images of this shape; see `Augmentation` for presets and options.

    >>> augmentation("standard", (8, 8, 3), seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """
    return Augmentation(kind, image_shape, **options)
