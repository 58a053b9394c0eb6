"""The presets made of keras-cv's public layers.

keras-cv 0.9 draws brightness, contrast and saturation with `tf.random.uniform(seed=...)`, which
starts afresh in every pass over a `tf.data` pipeline: each epoch would see the same colours. So the
factors are drawn here by a `keras_cv.core.FactorSampler` of our own, from a generator whose state
lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["keras_cv_layers"]


def _sampler_class() -> Any:
    import keras_cv
    import tensorflow as tf

    class GeneratorSampler(keras_cv.core.FactorSampler):
        """Uniform in [lower, upper), from its own `tf.random.Generator`."""

        def __init__(self, lower: float, upper: float, seed: int) -> None:
            self.lower, self.upper, self.seed = lower, upper, seed
            self._generator = tf.random.Generator.from_seed(seed)

        def __call__(self, shape: Any = (), dtype: str = "float32") -> Any:
            return self._generator.uniform(shape, self.lower, self.upper, dtype)

        def get_config(self) -> dict[str, Any]:
            return {"lower": self.lower, "upper": self.upper, "seed": self.seed}

    return GeneratorSampler


def keras_cv_layers(
    kind: str, image_shape: tuple[int, int, int], *, seed: int, flip: bool
) -> list[Callable[[Any], Any]]:
    """The layers of preset `kind`, to be called one after the other on float images 0..255."""
    import keras_cv

    height, width, channels = image_shape
    cv, sampler = keras_cv.layers, _sampler_class()
    seeds = iter(np.random.SeedSequence(seed).generate_state(32) % (2**31 - 1))

    def uniform(lower: float, upper: float) -> Any:
        return sampler(lower, upper, int(next(seeds)))

    def options() -> dict[str, Any]:
        return {"seed": int(next(seeds)), "dtype": "float32"}

    layers: list[Any] = []
    if kind == "standard" and flip:
        layers.append(cv.RandomFlip("horizontal", **options()))
    layers += _crop(cv, height, width, uniform, options)
    if kind != "standard":
        return layers
    layers.append(cv.RandomBrightness(uniform(-0.15, 0.15), value_range=(0, 255), **options()))
    contrast = cv.RandomContrast((0, 255), 0.2, **options())
    contrast.factor = uniform(0.8, 1.2)  # its constructor takes numbers alone
    layers.append(contrast)
    if channels == 3:
        layers.append(cv.RandomSaturation(uniform(0.4, 0.6), **options()))  # 0.5 changes nothing
        layers.append(cv.RandomHue(uniform(0.0, 0.05), (0, 255), **options()))
    side = uniform(0.25, 0.25001)
    layers.append(cv.RandomCutout(side, side, **options()))
    return layers


def _crop(cv: Any, height: int, width: int, uniform: Any, options: Any) -> list[Any]:
    """Zero-pad an eighth on each side, cut 0.8 to 1.1 of the image's side, resize to the image."""
    import keras

    rows, columns = max(1, round(height / 8)), max(1, round(width / 8))
    padded = (height + 2 * rows) * (width + 2 * columns)
    low, high = (scale**2 * height * width / padded for scale in (0.8, 1.1))
    return [
        keras.layers.ZeroPadding2D((rows, columns), data_format="channels_last", dtype="float32"),
        cv.RandomCropAndResize(
            (height, width),
            crop_area_factor=uniform(low, high),
            aspect_ratio_factor=uniform(0.9, 1.1),
            **options(),
        ),
    ]
