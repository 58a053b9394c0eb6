"""Layers that blot out a rectangle of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_factors, as_number, as_range
from kcnn.augment._base import Sometimes
from kcnn.augment._draws import Draws
from kcnn.augment._steps import Cut, Paste, Step

__all__ = ["RandomCutout", "RandomErasing"]


class _Cutting(Sometimes):
    """Base: a rectangle in each image, with probability `rate`, gets `fill_value`.

    fill_value: a number, or None for noise: as Keras's, normal with a deviation of 255, clipped to
        0..255. Masks and boxes stay as they are.
    """

    def __init__(self, *, fill_value: float | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        fill_value = None if fill_value is None else as_number(fill_value, self, "fill_value")
        self.fill_value = fill_value

    def _cut(self, draws: Draws, y: Any, x: Any, height: Any, width: Any) -> list[Step]:
        height = tf.where(draws.chance(self.rate), height, 0.0)
        box = (y, x, y + height, x + width)
        if self.fill_value is None:
            return [Paste(box, draws.noise())]
        return [Cut(box, self.fill_value)]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomCutout(_Cutting):
    """Blot out a rectangle around a random pixel; what falls outside the image is lost.

    height_factor, width_factor: its sides as shares of the image's: f, or (lower, upper); rounded
        to whole pixels. DeVries & Taylor, arXiv:1708.04552.

    >>> RandomCutout(0.5, 0.5, fill_value=0, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        height_factor: float | Sequence[float] = 0.25,
        width_factor: float | Sequence[float] = 0.25,
        *,
        fill_value: float | None = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_value=fill_value, **kwargs)
        self.height_factor = self._side(height_factor, "height_factor")
        self.width_factor = self._side(width_factor, "width_factor")

    def _side(self, value: Any, name: str) -> tuple[float, float]:
        pair = value if isinstance(value, Sequence) else (value, value)
        return as_range(pair, self, name, 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Step]:
        corners, sides = [], []
        for length, factor in (
            (draws.height, self.height_factor),
            (draws.width, self.width_factor),
        ):
            side = tf.round(draws.uniform(*factor) * length)
            centre = tf.floor(draws.uniform() * length)
            corners.append(centre - tf.floor(side / 2.0))
            sides.append(side)
        return self._cut(draws, *corners, *sides)


@keras.saving.register_keras_serializable(package="kcnn")
class RandomErasing(_Cutting):
    """Blot out a rectangle that lies inside the image. Zhong et al., arXiv:1708.04896.

    factor: as in Keras, the range of which each image draws its probability, (lower, upper), or f
        for (0, f): so 1.0 erases in half of the images.
    scale: its share of the image's area, uniform. ratio: height over width, uniform in its
        logarithm; sides are rounded to whole pixels. Of ten pairs the first that fits is taken; if
        none does, nothing is erased. (Keras draws the two sides alone, each the root of a number
        within `scale`: hardly one is long and narrow.)
    fill_value: a number, or None for noise (about as much work as all the rest of a pipeline).
    rate: the probability itself, in place of `factor`.

    >>> RandomErasing(fill_value=0, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    TRIES = 10

    def __init__(
        self,
        factor: float | Sequence[float] = 1.0,
        scale: Sequence[float] = (0.02, 0.33),
        fill_value: float | None = None,
        *,
        ratio: Sequence[float] = (0.3, 3.3),
        rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        if rate is None:
            rate = sum(as_factors(factor, self, "factor", 0.0, 1.0)) / 2.0
        super().__init__(rate=rate, fill_value=fill_value, **kwargs)
        self.scale = as_range(scale, self, "scale", 0.0, 1.0)
        self.ratio = as_range(ratio, self, "ratio", 1e-3, 1e3)

    def steps(self, draws: Draws) -> Sequence[Step]:
        area = draws.uniform(*self.scale, self.TRIES) * draws.height * draws.width
        ratio = draws.log_uniform(*self.ratio, self.TRIES)
        sides = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
        found, height, width = draws.first_that_fits(*sides)
        height = tf.where(found, height, 0.0)
        y = tf.floor(draws.uniform() * (draws.height - height + 1.0))
        x = tf.floor(draws.uniform() * (draws.width - width + 1.0))
        return self._cut(draws, y, x, height, width)
