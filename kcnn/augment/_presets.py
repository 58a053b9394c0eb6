"""One word for a whole augmentation."""

from __future__ import annotations

import difflib
import random
from collections.abc import Sequence
from typing import Any

import keras

__all__ = ["KINDS", "Augmentation", "augmentation"]

KINDS = ("none", "crop", "standard")


@keras.saving.register_keras_serializable(package="kcnn")
class Augmentation(keras.layers.Layer):
    """A preset as one Keras layer: (batch, h, w, c) in 0..255 to the same, float32.

    Each image draws its own transformation. Called with `training=False` it changes nothing. See
    `augmentation` for the presets. Needs TensorFlow (it is made for `tf.data`).
    """

    def __init__(
        self,
        kind: str,
        image_shape: Sequence[int],
        *,
        flip: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if kind not in KINDS:
            near = difflib.get_close_matches(str(kind), KINDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"augmentation: unknown kind {kind!r}; known: {', '.join(KINDS)}{hint}"
            )
        shape = tuple(int(side) for side in image_shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(
                f"augmentation: image_shape={image_shape} is not (height, width, channels)."
            )
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "augmentation: needs the TensorFlow backend; Keras runs on "
                f"{keras.backend.backend()}."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.kind, self.image_shape, self.flip = kind, shape, flip
        self.seed = random.randrange(2**31) if seed is None else int(seed)
        self.layers: list[Any] = []
        if kind != "none":
            from kcnn.augment._keras_cv import keras_cv_layers

            self.layers = keras_cv_layers(kind, shape, seed=self.seed, flip=flip)
        self.built = True

    def call(self, images: Any, training: bool = True) -> Any:
        images = keras.ops.cast(images, "float32")
        if not training or not self.layers:
            return images
        for layer in self.layers:
            images = layer(images)
        return keras.ops.clip(images, 0.0, 255.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = {"kind": self.kind, "image_shape": self.image_shape, "flip": self.flip}
        return {**config, **own, "seed": self.seed}


def augmentation(
    kind: str, image_shape: Sequence[int], *, flip: bool = True, seed: int | None = None
) -> Augmentation:
    """A layer that augments a batch of images (b, h, w, c) in 0..255, eagerly or in `tf.data` map.

    "none" changes nothing; "crop" pads, crops and scales (0.8 to 1.1 of the side, aspect 0.9 to
    1.1); "standard" adds horizontal flips (unless `flip` is False), colour jitter (for one channel
    brightness and contrast alone) and cutout of a quarter of each side. Sizes follow the image's,
    so 8x8 works as well as 224x224. The same `seed` gives the same images.
    """
    return Augmentation(kind, image_shape, flip=flip, seed=seed)
