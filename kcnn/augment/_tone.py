"""Layers that change how bright values become: Keras's, each image by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_factors, as_whole, as_whole_range
from kcnn.augment._base import AugmentationLayer, Sometimes
from kcnn.augment._draws import Draws
from kcnn.augment._steps import Sharpen, Tone

__all__ = [
    "AutoContrast",
    "Equalization",
    "RandomPosterization",
    "RandomSharpness",
    "Solarization",
]

BITS = 8
NEVER = 256.0  # no value is as great


def levels_apart(bits: Any) -> Any:
    """The step between the values that `bits` bits can tell apart in 0..255; 0 for all eight."""
    return tf.where(bits < BITS, 2.0 ** (BITS - bits), 0.0)


@keras.saving.register_keras_serializable(package="kcnn")
class AutoContrast(Sometimes):
    """Stretch each channel so that its values reach from 0 to 255; one that has one value stays.

    As `keras.layers.AutoContrast`, but in training alone, like every layer here, and with
    probability `rate`.

    >>> float(keras.ops.max(AutoContrast()(images / 2)))
    255.0
    """

    def steps(self, draws: Draws) -> Sequence[Tone]:
        return [Tone(stretch=draws.chance(self.rate))]


@keras.saving.register_keras_serializable(package="kcnn")
class Equalization(Sometimes):
    """Make the values of each channel about equally frequent, with probability `rate`.

    As `keras.layers.Equalization`, which counts the values of the whole batch together.

    bins: how many values are told apart.

    >>> Equalization()(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(self, bins: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = as_whole(bins, self, "bins", 2, 256)

    def steps(self, draws: Draws) -> Sequence[Tone]:
        return [Tone(equalize=draws.chance(self.rate), bins=self.bins)]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomPosterization(AugmentationLayer):
    """Keep the upper bits of each value alone.

    factor: how many of the eight, or (lower, upper), each as likely, both included.
        (`keras.layers.RandomPosterization` draws 1 .. factor - 1, against its docstring.)

    >>> len(np.unique(RandomPosterization(1)(images)))
    2
    """

    def __init__(self, factor: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = as_whole_range(factor, self, "factor", 1, BITS)

    def steps(self, draws: Draws) -> Sequence[Tone]:
        low, high = self.factor
        bits = tf.floor(draws.uniform(low, high + 1))
        return [Tone(levels_apart(tf.minimum(bits, float(high))))]  # a sum may round up


@keras.saving.register_keras_serializable(package="kcnn")
class Solarization(AugmentationLayer):
    """Invert the values from a threshold on, as `keras.layers.Solarization`.

    addition_factor, threshold_factor: (lower, upper), or f for (0, f), as shares of 255: what is
        added first, and the threshold. With neither, every image is inverted.

    >>> float(Solarization(threshold_factor=0.5)(np.full((1, 1, 1, 3), 255.0)).numpy().max())
    0.0
    """

    def __init__(
        self,
        addition_factor: float | Sequence[float] = 0.0,
        threshold_factor: float | Sequence[float] = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.addition_factor = as_factors(addition_factor, self, "addition_factor", 0.0, 1.0)
        self.threshold_factor = as_factors(threshold_factor, self, "threshold_factor", 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Tone]:
        added = 255.0 * draws.uniform(*self.addition_factor)
        return [Tone(None, added, 255.0 * draws.uniform(*self.threshold_factor))]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomSharpness(AugmentationLayer):
    """Blur or sharpen each image, as `keras.layers.RandomSharpness`.

    The outermost pixels, which Keras's layer blends with black, stay as they are (as in Pillow).

    factor: (lower, upper), or f for (0, f): 0 blurs, 0.5 changes nothing, 1 sharpens.

    >>> RandomSharpness(0.5, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(self, factor: float | Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = as_factors(factor, self, "factor", 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Sharpen]:
        return [Sharpen(2.0 * draws.uniform(*self.factor))]
