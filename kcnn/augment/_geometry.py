"""Layers that move pixels: each says where an output point lies in the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import (
    as_choice,
    as_number,
    as_padding,
    as_range,
    as_sides,
)
from kcnn.augment._base import AugmentationLayer
from kcnn.augment._draws import Draws
from kcnn.augment._steps import Warp

__all__ = [
    "FilledGeometry",
    "Geometry",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
]

FILL_MODES = ("constant", "nearest", "reflect")
INTERPOLATIONS = ("bilinear", "nearest")


class Geometry(AugmentationLayer):
    """Base of the layers that move pixels.

    Masks take the nearest pixel, boxes are drawn anew around where their corners went.

    interpolation: "bilinear" or "nearest".
    """

    moves_pixels = True
    refuses = frozenset({"keypoints"})

    def __init__(self, *, interpolation: str = "bilinear", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.interpolation = as_choice(interpolation, INTERPOLATIONS, self, "interpolation")

    def _warp(self, yy: Any, y0: Any, xx: Any, x0: Any, **rest: Any) -> Sequence[Warp]:
        return [Warp(yy, y0, xx, x0, interpolation=self.interpolation, **rest)]


class FilledGeometry(Geometry):
    """Base of the layers that show what lies outside the image.

    fill_mode: what is seen there: "reflect" (mirrored at the border), "nearest" (the border goes
        on) or "constant" (`fill_value`). Keras's "wrap" is not among them.
    """

    def __init__(
        self, *, fill_mode: str = "reflect", fill_value: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.fill_mode = as_choice(fill_mode, FILL_MODES, self, "fill_mode")
        self.fill_value = as_number(fill_value, self, "fill_value")

    def _warp(self, yy: Any, y0: Any, xx: Any, x0: Any, **rest: Any) -> Sequence[Warp]:
        fill = {"fill_mode": self.fill_mode, "fill_value": self.fill_value}
        return super()._warp(yy, y0, xx, x0, **rest, **fill)

    def _about_centre(
        self, draws: Draws, yy: Any, xx: Any, yx: Any = None, xy: Any = None
    ) -> Sequence[Warp]:
        """A warp that leaves the middle of the image in place."""
        y, x = draws.height / 2.0, draws.width / 2.0
        y0, x0 = y - yy * y, x - xx * x
        if yx is not None:
            y0, x0 = y0 - yx * x, x0 - xy * y
        return self._warp(yy, y0, xx, x0, yx=yx, xy=xy)

    def _turned(self, draws: Draws, angle: Any) -> Sequence[Warp]:
        """About the centre, by `angle` in radians, counter-clockwise if positive."""
        cos, sin = tf.cos(angle), tf.sin(angle)
        return self._about_centre(draws, cos, cos, sin, -sin)


@keras.saving.register_keras_serializable(package="kcnn")
class RandomFlip(Geometry):
    """Mirror each image with probability `rate`, in each direction of `mode` by itself.

    (Keras's layer throws one coin for both directions, so that it never mirrors in one alone.)

    mode: "horizontal" (left and right change places), "vertical" or "horizontal_and_vertical".

    >>> RandomFlip("horizontal", rate=1.0)(np.arange(4.0).reshape(1, 1, 4, 1)).numpy().ravel()
    array([3., 2., 1., 0.], dtype=float32)
    """

    def __init__(
        self, mode: str = "horizontal_and_vertical", *, rate: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = as_choice(mode, modes, self, "mode")
        self.rate = as_number(rate, self, "rate", 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Warp]:
        def side(word: str, length: Any) -> tuple[Any, Any]:
            flip = draws.chance(self.rate) & (word in self.mode)
            return tf.where(flip, -1.0, 1.0), tf.where(flip, length, 0.0)

        return self._warp(*side("vertical", draws.height), *side("horizontal", draws.width))


@keras.saving.register_keras_serializable(package="kcnn")
class RandomCrop(FilledGeometry):
    """Cut out `height` x `width` at a random whole-pixel place, another for each image.

    An image that is smaller, with its padding, gives its largest centred part of the same aspect
    ratio, resized: what `keras.layers.RandomCrop` says of itself. (It has no padding, and one place
    for the whole batch.)

    height, width: in pixels; None keeps the image's own. One number stands for both.
    padding: first add to each side a number of pixels (int) or a share of the side (float), or
        (rows, columns) of these. It is black unless `fill_mode` says otherwise: the recipe of
        He et al., arXiv:1512.03385, for CIFAR is `RandomCrop(padding=4)`.

    >>> RandomCrop(6, 6, seed=0)(images).shape
    TensorShape([4, 6, 6, 3])
    """

    def __init__(
        self,
        height: int | None = None,
        width: int | None = None,
        *,
        padding: float | Sequence[float] = 0,
        fill_mode: str = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode=fill_mode, **kwargs)
        self.height, _ = as_sides(height, self, "height")
        _, self.width = as_sides(height if width is None else width, self, "width")
        self.padding = as_padding(padding, self, "padding")
        if self.height is None and self.width is None and not any(self.padding):
            raise ValueError("RandomCrop: nothing to do; give height and width, or padding.")

    def steps(self, draws: Draws) -> Sequence[Warp]:
        places, rooms, scales = [], [], []
        lengths = (draws.height, draws.width)
        wanted = [self.height or draws.height, self.width or draws.width]
        for length, side, pad in zip(lengths, wanted, self.padding, strict=True):
            pixels = tf.round(length * pad) if isinstance(pad, float) else float(pad)
            room = length + 2.0 * pixels - side
            places.append(tf.floor(draws.uniform() * (room + 1.0)) - pixels)
            rooms.append(room)
            scales.append(length / side)
        one = tf.ones_like(places[0])
        fits, scale = tf.reduce_min(rooms) >= 0.0, tf.minimum(*scales)
        entries = []
        for place, length, side in zip(places, lengths, wanted, strict=True):
            part = tf.maximum(tf.floor(side * scale), 1.0)
            start = tf.floor((length - part) / 2.0)
            entries += [one * tf.where(fits, 1.0, part / side), tf.where(fits, place, start)]
        return self._warp(*entries, size=(self.height, self.width))

    def output_size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        return self.height or height, self.width or width


@keras.saving.register_keras_serializable(package="kcnn")
class RandomResizedCrop(Geometry):
    """Cut out a random part and resize it to `size` (the image's own by default).

    keras-cv's RandomCropAndResize, with the names of torchvision and timm.

    size: pixels or (height, width). scale: share of the image's area, uniform; ratio: width over
    height in pixels, uniform in its logarithm. Ten pairs are drawn and the first that fits is
    taken; if none does, the largest centred part with a ratio within range (Szegedy et al.,
    arXiv:1409.4842).

    >>> RandomResizedCrop(16, seed=0)(images).shape
    TensorShape([4, 16, 16, 3])
    """

    TRIES = 10

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        *,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = as_sides(size, self, "size")
        self.scale = as_range(scale, self, "scale", 1e-6, 1.0)
        self.ratio = as_range(ratio, self, "ratio", 1e-3, 1e3)

    def _part(self, draws: Draws) -> tuple[Any, tuple[Any, Any]]:
        """Whether a drawn part fits, and height and width (b,) of the part, in pixels."""
        area = draws.uniform(*self.scale, self.TRIES) * draws.height * draws.width
        ratio = draws.log_uniform(*self.ratio, self.TRIES)
        found, *drawn = draws.first_that_fits(tf.sqrt(area / ratio), tf.sqrt(area * ratio))
        own = tf.clip_by_value(draws.width / draws.height, *self.ratio)
        height = tf.minimum(draws.height, draws.width / own)
        largest = (height, height * own)
        part = [tf.where(found, d, whole) for d, whole in zip(drawn, largest, strict=True)]
        return found, (part[0], part[1])

    def steps(self, draws: Draws) -> Sequence[Warp]:
        found, part = self._part(draws)
        entries = []
        lengths = (draws.height, draws.width)
        for length, side, wanted in zip(lengths, part, self.size, strict=True):
            place = tf.where(found, draws.uniform(), 0.5) * (length - side)
            entries += [side / (length if wanted is None else float(wanted)), place]
        return self._warp(*entries, size=self.size)

    def boxes(self, seed: Any, heights: Any, widths: Any) -> Any:
        """Parts of pictures of these sizes (b,): int32 (b, 4) of top, left, height and width.

        For who cuts a part out of each file before it is made smaller: whole pixels, drawn from
        `seed` (2,) alone.
        """
        draws = Draws(seed, tf.zeros((tf.size(heights), 1, 1, 1)))
        draws.height, draws.width = (tf.cast(side, tf.float32) for side in (heights, widths))
        found, part = self._part(draws)
        sides = [tf.maximum(tf.round(side), 1.0) for side in part]
        places = []
        for length, side in zip((draws.height, draws.width), sides, strict=True):
            places.append(tf.floor(tf.where(found, draws.uniform(), 0.5) * (length - side + 1.0)))
        return tf.cast(tf.stack([*places, *sides], axis=1), tf.int32)

    def output_size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        return self.size[0] or height, self.size[1] or width
