"""Layers that mix two images of a batch, and their labels in the same proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_number
from kcnn.augment._base import AugmentationLayer, Draws
from kcnn.augment._beta import symmetric_beta
from kcnn.augment._steps import Mix

__all__ = ["CutMix", "MixUp"]


class _Mixing(AugmentationLayer):
    """Base: every image meets another one of the batch, from a random permutation.

    Takes and gives a dictionary with "images" (b, h, w, c) and one-hot float "labels" (b, classes).
    alpha: the image's own share is drawn from Beta(alpha, alpha), for each image by itself.
    """

    mixes_images = True

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = as_number(alpha, self, "alpha", 1e-3, 1e3)

    def _partners_and_shares(self, draws: Draws) -> tuple[Any, Any]:
        partners = tf.argsort(draws.uniform())
        return partners, symmetric_beta(self.alpha, draws.batch, draws.next_seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="kcnn")
class MixUp(_Mixing):
    """Blend each image with another. Zhang et al., arXiv:1710.09412."""

    def __init__(self, alpha: float = 0.2, **kwargs: Any) -> None:
        super().__init__(alpha, **kwargs)

    def steps(self, draws: Draws) -> Sequence[Mix]:
        partners, shares = self._partners_and_shares(draws)
        return [Mix(partners, shares)]


@keras.saving.register_keras_serializable(package="kcnn")
class CutMix(_Mixing):
    """Put a rectangle of another image into each. Yun et al., arXiv:1905.04899.

    The rectangle has the image's aspect ratio and a random centre; labels follow the area that is
    left of it inside the image, counted in pixels.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(alpha, **kwargs)

    def steps(self, draws: Draws) -> Sequence[Mix]:
        partners, shares = self._partners_and_shares(draws)
        part = tf.sqrt(1.0 - shares)
        edges, lengths = [], []
        for length in (draws.height, draws.width):
            side = tf.round(part * length)
            start = tf.floor(draws.uniform() * length) - tf.floor(side / 2.0)
            low, high = tf.maximum(start, 0.0), tf.minimum(start + side, length)
            edges.append((low, high))
            lengths.append(tf.maximum(high - low, 0.0))
        (y0, y1), (x0, x1) = edges
        own = 1.0 - lengths[0] * lengths[1] / (draws.height * draws.width)
        return [Mix(partners, own, (y0, x0, y1, x1))]
