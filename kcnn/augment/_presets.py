"""One word for a whole augmentation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras

from kcnn.augment._affine import RandomZoom
from kcnn.augment._arguments import as_choice
from kcnn.augment._colour import ColorJitter
from kcnn.augment._cut import RandomCutout
from kcnn.augment._geometry import RandomCrop, RandomFlip
from kcnn.augment._pipeline import Pipeline

__all__ = ["KINDS", "LIBRARIES", "Augmentation", "augmentation"]

KINDS = ("none", "crop", "standard")
LIBRARIES = ("kcnn", "keras-cv")


def _own_layers(kind: str, *, seed: int, flip: bool) -> list[Any]:
    layers: list[Any] = [RandomFlip()] if kind == "standard" and flip else []
    layers += [RandomCrop(padding=1 / 8), RandomZoom((-0.2, 0.1), (-0.2, 0.1))]
    if kind == "standard":
        layers += [ColorJitter(0.2, 0.2, 0.2, 0.03), RandomCutout(1 / 4, 1 / 4)]
    return [Pipeline(layers, seed=seed)]


@keras.saving.register_keras_serializable(package="kcnn")
class Augmentation(keras.layers.Layer):
    """A preset as one Keras layer: (batch, h, w, c) in 0..255 to the same, float32.

    Each image draws its own transformation. Called with `training=False` it changes nothing. Takes
    a dictionary with "images" as keras-cv's layers do. See `augmentation` for the presets.
    """

    def __init__(
        self,
        kind: str,
        image_shape: Sequence[int],
        *,
        flip: bool = True,
        library: str = "kcnn",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        as_choice(kind, KINDS, self, "kind")
        as_choice(library, LIBRARIES, self, "library")
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
        super().__init__(**kwargs)
        self.kind, self.image_shape, self.flip, self.library = kind, shape, flip, library
        self.seed = random.randrange(2**31) if seed is None else int(seed)
        self.layers: list[Any] = []
        if kind != "none" and library == "kcnn":
            self.layers = _own_layers(kind, seed=self.seed, flip=flip)
        elif kind != "none":
            from kcnn.augment._keras_cv import keras_cv_layers

            self.layers = keras_cv_layers(kind, shape, seed=self.seed, flip=flip)
        self.built = True

    def call(self, inputs: Any, training: bool = True) -> Any:
        if isinstance(inputs, dict):
            return {**inputs, "images": self.call(inputs["images"], training=training)}
        if training:
            for layer in self.layers:
                inputs = layer(inputs)
        images = keras.ops.cast(inputs, self.compute_dtype)
        return images if not self.layers else keras.ops.clip(images, 0.0, 255.0)

    def get_config(self) -> dict[str, Any]:
        names = ("kind", "image_shape", "flip", "library", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def augmentation(
    kind: str,
    image_shape: Sequence[int],
    *,
    flip: bool = True,
    library: str = "kcnn",
    seed: int | None = None,
) -> Augmentation:
    """A layer that augments a batch of images (b, h, w, c) in 0..255, eagerly or in `tf.data` map.

    "none" changes nothing; "crop" pads by an eighth, crops, and scales each side by 0.8 to 1.1;
    "standard" adds horizontal flips (unless `flip` is False), colour jitter (for one channel
    brightness and contrast alone) and cutout of a quarter of each side. Sizes follow the image's,
    so 8x8 works as well as 224x224. The same `seed` gives the same images.

    library: "kcnn" fuses the layers of `kcnn.augment` (benchmarks/augment.py); "keras-cv" chains
    keras-cv's public layers, with about the same ranges.
    """
    return Augmentation(kind, image_shape, flip=flip, library=library, seed=seed)
