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
from kcnn.augment._cut import RandomCutout
from kcnn.augment._geometry import RandomCrop, RandomFlip
from kcnn.augment._mix import CutMix, MixUp, RandomMix
from kcnn.augment._pipeline import Pipeline

__all__ = ["KINDS", "LIBRARIES", "MIXES", "Augmentation", "augmentation"]

KINDS = ("none", "crop", "standard")
LIBRARIES = ("kcnn", "keras-cv")
MIXES = {"mixup": MixUp, "cutmix": CutMix, "either": RandomMix}


def _crop() -> list[AugmentationLayer]:
    """Black padding of an eighth, a crop, and each side at 0.8 to 1.1 of its size."""
    zoom = RandomZoom((-0.2, 0.1), (-0.2, 0.1), fill_mode="constant")
    return [RandomCrop(padding=1 / 8), zoom]


def _layers(kind: str, flip: bool) -> list[AugmentationLayer]:
    mirror = [RandomFlip("horizontal")] if flip else []
    if kind == "none":
        return []
    if kind == "crop":
        return _crop()
    return [*mirror, *_crop(), ColorJitter(0.2, 0.2, 0.2, 0.03), RandomCutout(1 / 4, 1 / 4)]


@keras.saving.register_keras_serializable(package="kcnn")
class Augmentation(keras.layers.Layer):
    """A preset as one Keras layer: (batch, h, w, c) in 0..255 to the same, float32.

    Each image draws its own transformation. Called with `training=False` it changes nothing. Takes
    a dictionary with "images" as `AugmentationLayer` does, and moves masks and boxes along; with
    `mix` it needs one, with one-hot "labels" (`mixes_labels` is True then). See `augmentation` for
    the presets.
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
        bounding_box_format: str | None = None,
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
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Augmentation: needs the TensorFlow backend of Keras; it runs on "
                f"{keras.backend.backend()}."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)
        self.kind, self.image_shape, self.flip, self.library = kind, shape, flip, library
        self.mix, self.bounding_box_format = mix, bounding_box_format
        self.seed = random.randrange(2**31) if seed is None else int(seed)
        self.mixes_labels = mix is not None
        layers = _layers(kind, flip) if library == "kcnn" else []
        layers += [] if mix is None else [MIXES[mix]()]
        self.pipeline = Pipeline(
            layers, seed=self.seed, bounding_box_format=bounding_box_format, dtype="float32"
        )
        self.others: list[Any] = []
        if library == "keras-cv" and kind != "none":
            from kcnn.augment._keras_cv import keras_cv_layers

            self.others = keras_cv_layers(kind, shape, seed=self.seed, flip=flip)
        self.built = True

    def call(self, inputs: Any, training: bool = True) -> Any:
        if training and self.others:
            inputs = self._by_keras_cv(inputs)
        outputs = self.pipeline(inputs, training=training)
        named = isinstance(outputs, dict)
        images = outputs["images"] if named else outputs
        if self.pipeline.layers or self.others:
            images = keras.ops.clip(images, 0.0, 255.0)
        images = keras.ops.cast(images, self.compute_dtype)
        return {**outputs, "images": images} if named else images

    def _by_keras_cv(self, inputs: Any) -> Any:
        named = isinstance(inputs, dict)
        moved = {"bounding_boxes", "segmentation_masks", "keypoints"} & set(inputs if named else ())
        if moved:
            raise ValueError(
                f"{self.name}: library='keras-cv' can't move {' or '.join(sorted(moved))} along; "
                "library='kcnn' moves masks and boxes."
            )
        images = inputs["images"] if named else inputs
        for layer in self.others:
            images = layer(images)
        return {**inputs, "images": images} if named else images

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("kind", "image_shape", "flip", "mix", "library", "seed", "bounding_box_format")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def augmentation(
    kind: str,
    image_shape: Sequence[int],
    *,
    flip: bool = True,
    mix: str | None = None,
    library: str = "kcnn",
    seed: int | None = None,
) -> Augmentation:
    """A layer that augments a batch of images (b, h, w, c) in 0..255, eagerly or in `tf.data` map.

    "none" changes nothing; "crop" pads by an eighth, crops, and scales each side by 0.8 to 1.1;
    "standard" adds horizontal flips (unless `flip` is False), colour jitter (for one channel
    brightness and contrast alone) and cutout of a quarter of each side. Sizes follow the image's,
    so 8x8 works as well as 224x224. The same `seed` gives the same images.

    mix: "mixup", "cutmix" or "either" (each image one of the two) after all that; the layer then
        takes a dictionary of "images" and one-hot float "labels", and gives soft labels: train with
        `keras.losses.CategoricalCrossentropy` and `keras.metrics.CategoricalAccuracy`.
    library: "kcnn" fuses the layers of `kcnn.augment` (benchmarks/augment.py); "keras-cv" chains
        keras-cv's public layers, with about the same ranges.
    """
    return Augmentation(kind, image_shape, flip=flip, mix=mix, library=library, seed=seed)
