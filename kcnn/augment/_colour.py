"""Layers that change colours: each is one matrix and one offset for an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_factors, as_number
from kcnn.augment._base import AugmentationLayer, Sometimes
from kcnn.augment._draws import Draws
from kcnn.augment._steps import Colour, gray_weights, merge_colours

__all__ = ["ColorJitter", "RandomGrayscale", "brighter", "contrast_by_channel", "towards_gray"]

# RGB to YIQ (FCC NTSC, 1953): a turn in the plane of I and Q changes the hue and keeps the luma.
_YIQ = (
    (0.299, 0.587, 0.114),
    (0.59590059, -0.27455667, -0.32134392),
    (0.21153661, -0.52273617, 0.31119955),
)


def _scaled(matrix: Any, factor: Any) -> Any:
    return matrix[None] * factor[:, None, None]


def _gray_matrix(channels: int) -> Any:
    """Each output channel is the gray value: (c, c)."""
    return tf.ones((channels, 1)) * gray_weights(channels)[None]


def towards_gray(keep: Any, channels: int) -> Colour:
    """keep * pixel + (1 - keep) * its gray value."""
    one, gray = tf.eye(channels), _gray_matrix(channels)
    return Colour(_scaled(one, keep) + _scaled(gray, 1.0 - keep))


def brighter(added: Any, channels: int) -> Colour:
    """pixel + added."""
    one = tf.ones_like(added)
    return Colour(_scaled(tf.eye(channels), one), bias=tf.tile(added[:, None], (1, channels)))


def contrast_by_channel(factor: Any, channels: int) -> Colour:
    """factor * value + (1 - factor) * the mean of its channel, as Keras's RandomContrast."""
    one = tf.eye(channels)
    return Colour(_scaled(one, factor), _scaled(one, 1.0 - factor))


def _contrast(factor: Any, channels: int) -> Colour:
    """factor * pixel + (1 - factor) * the image's mean gray value."""
    pivot = _scaled(_gray_matrix(channels), 1.0 - factor)
    return Colour(_scaled(tf.eye(channels), factor), pivot)


def _hue(turn: Any) -> Colour:
    """Turn the chroma by `turn` of a full circle."""
    to_yiq = tf.constant(_YIQ)
    angle = 2.0 * math.pi * turn
    cos, sin, zero = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle)
    rows = [[zero + 1.0, zero, zero], [zero, cos, -sin], [zero, sin, cos]]
    rotation = tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)
    return Colour(tf.linalg.inv(to_yiq) @ rotation @ to_yiq)


@keras.saving.register_keras_serializable(package="kcnn")
class ColorJitter(AugmentationLayer):
    """Brightness, contrast, saturation and hue of each image, in this order, in one pass.

    brightness: pixels times 1 + b; contrast: distance from the mean gray value times 1 + c;
    saturation: distance from each pixel's own gray value times 1 + s; hue: turn of the chroma by h
    of a full circle, in YIQ, which keeps the luma. Each is (lower, upper), or f for (-f, f), of b,
    c, s (at least -1) and h; 0 switches it off. Saturation and hue are for three channels alone.
    Values are clipped to 0..255 once, at the end.

    >>> ColorJitter(0.2, 0.2, seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.2,
        contrast: float | Sequence[float] = 0.2,
        saturation: float | Sequence[float] = 0.2,
        hue: float | Sequence[float] = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.brightness = as_factors(brightness, self, "brightness", -1.0)
        self.contrast = as_factors(contrast, self, "contrast", -1.0)
        self.saturation = as_factors(saturation, self, "saturation", -1.0)
        self.hue = as_factors(hue, self, "hue", -1.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Colour]:
        channels = draws.channels
        changes = []
        if self.brightness != (0.0, 0.0):
            factor = 1.0 + draws.uniform(*self.brightness)
            changes.append(Colour(_scaled(tf.eye(channels), factor)))
        if self.contrast != (0.0, 0.0):
            changes.append(_contrast(1.0 + draws.uniform(*self.contrast), channels))
        if channels == 3 and self.saturation != (0.0, 0.0):
            changes.append(towards_gray(1.0 + draws.uniform(*self.saturation), channels))
        if channels == 3 and self.hue != (0.0, 0.0):
            changes.append(_hue(draws.uniform(*self.hue)))
        if not changes:
            return []
        merged = changes[0]
        for change in changes[1:]:
            merged = merge_colours(merged, change)
        return [merged]


@keras.saving.register_keras_serializable(package="kcnn")
class RandomGrayscale(Sometimes):
    """Make each image gray with probability `factor`; the number of channels stays.

    rate: another name of `factor`, in place of it.

    >>> RandomGrayscale(1.0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(self, factor: float = 0.5, *, rate: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = as_number(factor if rate is None else rate, self, "factor", 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Colour]:
        keep = tf.where(draws.chance(self.rate), 0.0, 1.0)
        return [towards_gray(keep, draws.channels)]
