"""Layers that mix two images of a batch, and their labels in the same proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_number
from kcnn.augment._base import Sometimes
from kcnn.augment._beta import symmetric_beta
from kcnn.augment._draws import Draws
from kcnn.augment._steps import Mix

__all__ = ["CutMix", "MixUp", "RandomMix"]

Box = tuple[Any, Any, Any, Any]


class _Mixing(Sometimes):
    """Base: each image meets another one of the batch, never itself (but in a batch of one).

    Takes and gives a dictionary with "images" (b, h, w, c) and float "labels" (b, classes): one-hot
    for one class an image (`keras.losses.CategoricalCrossentropy` and
    `keras.metrics.CategoricalAccuracy` fit, for validation data with one-hot labels too), or
    several ones in a row (`BinaryCrossentropy`).

    rate: the probability that an image is mixed at all.
    """

    mixes_labels = True
    refuses = frozenset({"keypoints"})

    def _share(self, draws: Draws, alpha: float) -> Any:
        """The image's own share, from Beta(alpha, alpha), or 1 where it is not mixed."""
        drawn = symmetric_beta(alpha, draws.batch, draws.next_seed)
        return drawn if self.rate == 1.0 else tf.where(draws.chance(self.rate), drawn, 1.0)


def _rectangle(draws: Draws, share: Any) -> tuple[Box, Any]:
    """A rectangle of 1 - `share` of the area around a random pixel, and the share left outside.

    It has the image's aspect ratio; what falls outside the image is lost.
    """
    part = tf.sqrt(1.0 - share)
    edges, lengths = [], []
    for length in (draws.height, draws.width):
        side = tf.round(part * length)
        start = tf.floor(draws.uniform() * length) - tf.floor(side / 2.0)
        low, high = tf.maximum(start, 0.0), tf.minimum(start + side, length)
        edges.append((low, high))
        lengths.append(tf.maximum(high - low, 0.0))
    (y0, y1), (x0, x1) = edges
    return (y0, x0, y1, x1), 1.0 - lengths[0] * lengths[1] / (draws.height * draws.width)


@keras.saving.register_keras_serializable(package="kcnn")
class MixUp(_Mixing):
    """Blend each image with another. Zhang et al., arXiv:1710.09412.

    alpha: the image's own share is drawn from Beta(alpha, alpha), for each image by itself.

    >>> MixUp(seed=0)({"images": images, "labels": one_hot})["labels"].shape
    TensorShape([4, 10])
    """

    def __init__(self, alpha: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = as_number(alpha, self, "alpha", 1e-3, 1e3)

    def steps(self, draws: Draws) -> Sequence[Mix]:
        return [Mix(draws.others(), self._share(draws, self.alpha))]


@keras.saving.register_keras_serializable(package="kcnn")
class CutMix(_Mixing):
    """Put a rectangle of another image into each. Yun et al., arXiv:1905.04899.

    The rectangle has the image's aspect ratio and a random centre; labels follow the area that is
    left of it inside the image, counted in pixels.

    A box of the image is one no more where the rectangle hides it, so boxes are refused.

    alpha: its area is drawn from Beta(alpha, alpha). (Keras's layer has a `factor` instead, and
        draws an alpha anew for each batch, from 0 to `factor`.)

    >>> CutMix(seed=0)({"images": images, "labels": one_hot})["labels"].shape
    TensorShape([4, 10])
    """

    refuses = frozenset({"keypoints", "bounding_boxes"})

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = as_number(alpha, self, "alpha", 1e-3, 1e3)

    def steps(self, draws: Draws) -> Sequence[Mix]:
        others = draws.others()
        box, own = _rectangle(draws, self._share(draws, self.alpha))
        return [Mix(others, own, box)]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomMix(_Mixing):
    """MixUp or CutMix, each image by itself, with the same probability.

    mixup_alpha, cutmix_alpha: as in `MixUp` and `CutMix`.

    >>> RandomMix(seed=0)({"images": images, "labels": one_hot})["labels"].shape
    TensorShape([4, 10])
    """

    refuses = frozenset({"keypoints", "bounding_boxes"})

    def __init__(self, mixup_alpha: float = 0.2, cutmix_alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mixup_alpha = as_number(mixup_alpha, self, "mixup_alpha", 1e-3, 1e3)
        self.cutmix_alpha = as_number(cutmix_alpha, self, "cutmix_alpha", 1e-3, 1e3)

    def steps(self, draws: Draws) -> Sequence[Mix]:
        others, cut = draws.others(), draws.chance(0.5)
        blend = self._share(draws, self.mixup_alpha)
        small, left = _rectangle(draws, self._share(draws, self.cutmix_alpha))
        zero = tf.zeros_like(blend)
        whole = (zero, zero, zero + draws.height, zero + draws.width)
        box = tuple(tf.where(cut, a, b) for a, b in zip(small, whole, strict=True))
        return [Mix(others, tf.where(cut, left, blend), box, tf.where(cut, 0.0, blend))]
