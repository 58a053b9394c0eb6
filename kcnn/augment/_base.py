"""The protocol of every augmentation layer: keras-cv's dictionaries, Keras's `training` flag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._kernels import to_dtype
from kcnn.augment._run import run
from kcnn.augment._steps import Step, Warp

__all__ = ["AugmentationLayer", "Draws"]


class Draws:
    """Random numbers for one batch, one for each image, all from one seed.

    They are drawn many at a time and handed out: an operation for each would cost more than the
    numbers. batch: number of images; height and width: of the images as a layer gets them, float32;
    size: the same as integers, None where the graph does not know them.
    """

    ROWS = 48  # numbers drawn at a time for each image: enough for most chains

    def __init__(self, seed: Any, images: Any) -> None:
        shape = tf.shape(images)
        self.batch, self.channels = shape[0], images.shape[3]
        self.height, self.width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
        self.size = (images.shape[1], images.shape[2])
        self._seed, self._seeds = seed, 0
        self._rows: Any = None
        self._used = self.ROWS

    def resized(self, size: tuple[int | None, int | None]) -> None:
        """From here on images have this size; None leaves a side as it is."""
        height, width = size
        if height is not None:
            self.height = tf.constant(float(height))
        if width is not None:
            self.width = tf.constant(float(width))
        self.size = (height or self.size[0], width or self.size[1])

    def next_seed(self) -> Any:
        """A fresh seed (2,) for a stateless operation of TensorFlow."""
        self._seeds += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._seeds, alg="philox")

    def _fresh_rows(self) -> Any:
        """Uniform in [0, 1), float32 (ROWS, b), from whole bits: XLA makes other floats of them."""
        bits = tf.random.stateless_uniform(
            (self.ROWS, self.batch), self.next_seed(), None, None, tf.uint32, alg="philox"
        )
        return (
            tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2.0**24
        )

    def uniform(self, low: float = 0.0, high: float = 1.0, tries: int | None = None) -> Any:
        """Uniform in [low, high), float32 (b,), or (tries, b)."""
        count = tries or 1
        if self._used + count > self.ROWS:
            self._rows, self._used = self._fresh_rows(), 0
        start, self._used = self._used, self._used + count
        drawn = self._rows[start] if tries is None else self._rows[start : self._used]
        return drawn if (low, high) == (0.0, 1.0) else low + (high - low) * drawn

    def log_uniform(self, low: float, high: float, tries: int | None = None) -> Any:
        """Uniform in its logarithm between `low` and `high`, float32 (b,), or (tries, b)."""
        return tf.exp(self.uniform(math.log(low), math.log(high), tries))

    def chance(self, rate: float) -> Any:
        """True with probability `rate`, bool (b,)."""
        return self.uniform() < rate

    def first_that_fits(self, height: Any, width: Any) -> tuple[Any, Any, Any]:
        """Of sides (tries, b) the first pair within the image (b,), and whether there is one."""
        fits = (height <= self.height) & (width <= self.width)
        pick = tf.one_hot(tf.argmax(fits, axis=0), height.shape[0], axis=0)
        found = tf.reduce_any(fits, axis=0)
        return found, tf.reduce_sum(height * pick, axis=0), tf.reduce_sum(width * pick, axis=0)


class AugmentationLayer(keras.layers.Layer):
    """Base of the layers of `kcnn.augment`: batched, each image with its own random numbers.

    Takes images (b, h, w, c) or one (h, w, c), of any number type, or a dictionary with them under
    "images" as keras-cv's layers do; gives back the same structure. With `training=False` images
    pass through unchanged; without the flag they change, as in Keras's own layers (so call a model
    with `training=False` to export it). `dtype` is that of the images given back, float32 unless
    said otherwise; "uint8" rounds. The same `seed` gives the same images, call after call; in a
    `map` with parallel calls, batches take random numbers in the order in which they run.
    TensorFlow only.
    """

    moves_pixels = False  # then bounding boxes and masks would have to move along: refused
    mixes_images = False  # then one image alone won't do

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"{type(self).__name__}: needs the TensorFlow backend of Keras; it runs on "
                f"{keras.backend.backend()}. Other backends can be fed by a tf.data pipeline made "
                "in a process of its own."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)  # labels in a dictionary keep their type
        self.seed = seed
        self.random = keras.random.SeedGenerator(seed)
        self.built = True

    def steps(self, draws: Draws) -> Sequence[Step]:
        """What to do with a batch, from fresh random numbers."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = True) -> Any:
        if not isinstance(inputs, dict):
            return self._images(inputs, training)
        if "images" not in inputs:
            raise ValueError(
                f"{self.name}: got a dictionary with {sorted(inputs)}; expected 'images' in it."
            )
        outputs = dict(inputs)
        if not training:
            outputs["images"] = to_dtype(tf.convert_to_tensor(inputs["images"]), self.compute_dtype)
            return outputs
        moved = {"bounding_boxes", "segmentation_masks", "keypoints"} & set(inputs)
        if moved and (self.moves_pixels or self.mixes_images):
            raise ValueError(
                f"{self.name}: {type(self).__name__} moves pixels but not {' or '.join(moved)}; "
                "use keras-cv's layer for these, or leave them out of the dictionary."
            )
        if self.mixes_images:
            outputs["images"], outputs["labels"] = self._mixed(inputs)
        else:
            outputs["images"] = self._images(inputs["images"], training)
        return outputs

    def _images(self, images: Any, training: bool) -> Any:
        images = tf.convert_to_tensor(images)
        if not training:
            return to_dtype(images, self.compute_dtype)
        if self.mixes_images:
            raise ValueError(
                f"{self.name}: {type(self).__name__} changes labels too; give a dictionary with "
                "'images' and one-hot 'labels'."
            )
        images, single = self._batched(images)
        out, _ = run(images, None, self._all_steps(images), self.compute_dtype)
        return out[0] if single else out

    def _mixed(self, inputs: Any) -> tuple[Any, Any]:
        images, labels = tf.convert_to_tensor(inputs["images"]), inputs.get("labels")
        if labels is None:
            raise ValueError(f"{self.name}: {type(self).__name__} needs 'labels' beside 'images'.")
        labels = tf.convert_to_tensor(labels)
        if images.shape.rank != 4 or labels.shape.rank != 2 or not labels.dtype.is_floating:
            raise ValueError(
                f"{self.name}: got images {images.shape} and {labels.dtype.name} labels "
                f"{labels.shape}; expected images (b, h, w, c) and one-hot float labels (b, k)."
            )
        return run(images, labels, self._all_steps(images), self.compute_dtype)

    def _batched(self, images: Any) -> tuple[Any, bool]:
        if images.shape.rank not in (3, 4) or images.shape[-1] is None:
            raise ValueError(
                f"{self.name}: got images of shape {images.shape}; expected (b, h, w, c) or "
                "(h, w, c) with a known number of channels."
            )
        single = images.shape.rank == 3
        return (images[None] if single else images), single

    def _all_steps(self, images: Any) -> list[Step]:
        draws = Draws(tf.cast(self.random.next(), tf.int32), images)
        steps: list[Step] = []
        for layer in self._chain():
            for step in layer.steps(draws):
                steps.append(step)
                if isinstance(step, Warp):
                    draws.resized(step.size)
        return steps

    def _chain(self) -> Sequence[AugmentationLayer]:
        """The layers whose steps these are."""
        return (self,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
