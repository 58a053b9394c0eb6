"""Layers that turn, shear, scale and shift images about their centre."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_factors
from kcnn.augment._draws import Draws
from kcnn.augment._geometry import FilledGeometry
from kcnn.augment._steps import Warp

__all__ = ["RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom"]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomRotation(FilledGeometry):
    """Turn each image about its centre by `factor` of a full turn, counter-clockwise if positive.

    factor: (lower, upper), or f for (-f, f), as in `keras.layers.RandomRotation`.

    >>> RandomRotation(0.1, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(self, factor: float | Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = as_factors(factor, self, "factor")

    def steps(self, draws: Draws) -> Sequence[Warp]:
        return self._turned(draws, 2.0 * math.pi * draws.uniform(*self.factor))


@keras.saving.register_keras_serializable(package="kcnn")
class RandomShear(FilledGeometry):
    """Shear each image about its centre: x moves by `x_factor` times y, y by `y_factor` times x.

    What is seen at (y, x) from the centre comes from (y - y_factor * x, x - x_factor * y), so a
    positive `x_factor` moves what is below the centre to the right. Keras's and keras-cv's layers
    shear about the upper left corner, which moves the middle of the image out of place, and turn
    the sign of any factor by chance; here (-f, f) does that.

    Factors: (lower, upper), or f for (-f, f).

    >>> RandomShear(0.2, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        x_factor: float | Sequence[float] = 0.0,
        y_factor: float | Sequence[float] = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.x_factor = as_factors(x_factor, self, "x_factor")
        self.y_factor = as_factors(y_factor, self, "y_factor")

    def steps(self, draws: Draws) -> Sequence[Warp]:
        x, y = draws.uniform(*self.x_factor), draws.uniform(*self.y_factor)
        one = tf.ones_like(x)
        return self._about_centre(draws, one, one, -y, -x)


@keras.saving.register_keras_serializable(package="kcnn")
class RandomZoom(FilledGeometry):
    """Scale each image about its centre: factor 0.2 shows a fifth more of the scene, -0.2 less.

    Factors: (lower, upper), or f for (-f, f), above -1, as in `keras.layers.RandomZoom`; without
    `width_factor` the aspect ratio is kept.

    >>> RandomZoom(0.2, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height_factor = as_factors(height_factor, self, "height_factor", -0.99)
        own = (
            None if width_factor is None else as_factors(width_factor, self, "width_factor", -0.99)
        )
        self.width_factor = own

    def steps(self, draws: Draws) -> Sequence[Warp]:
        y = 1.0 + draws.uniform(*self.height_factor)
        x = y if self.width_factor is None else 1.0 + draws.uniform(*self.width_factor)
        return self._about_centre(draws, y, x)


@keras.saving.register_keras_serializable(package="kcnn")
class RandomTranslation(FilledGeometry):
    """Move each image by shares of its height and width: down and right if positive.

    Factors: (lower, upper), or f for (-f, f), as in `keras.layers.RandomTranslation`.

    >>> RandomTranslation(0.1, 0.1, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height_factor = as_factors(height_factor, self, "height_factor")
        self.width_factor = as_factors(width_factor, self, "width_factor")

    def steps(self, draws: Draws) -> Sequence[Warp]:
        y = -draws.uniform(*self.height_factor) * draws.height
        x = -draws.uniform(*self.width_factor) * draws.width
        one = tf.ones_like(y)
        return self._warp(one, y, one, x)
