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
from kcnn.augment._base import AugmentationLayer, Draws
from kcnn.augment._steps import Warp

__all__ = [
    "Geometry",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
]

FILL_MODES = ("constant", "nearest", "reflect")


class Geometry(AugmentationLayer):
    """Base of the layers that move pixels. What lies outside the image is filled.

    fill_mode: "constant" (`fill_value`), "nearest" (the border goes on) or "reflect".
    """

    moves_pixels = True

    def __init__(
        self, *, fill_mode: str = "constant", fill_value: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.fill_mode = as_choice(fill_mode, FILL_MODES, self, "fill_mode")
        self.fill_value = as_number(fill_value, self, "fill_value")

    def _warp(self, yy: Any, y0: Any, xx: Any, x0: Any, **rest: Any) -> Sequence[Warp]:
        fill: dict[str, Any] = {"fill_mode": self.fill_mode, "fill_value": self.fill_value}
        return [Warp(yy, y0, xx, x0, **rest, **fill)]

    def get_config(self) -> dict[str, Any]:
        own = {"fill_mode": self.fill_mode, "fill_value": self.fill_value}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kcnn")
class RandomFlip(Geometry):
    """Mirror each image with probability `rate`, in each direction of `mode` by itself.

    mode: "horizontal" (left and right change places), "vertical" or "horizontal_and_vertical".
    """

    def __init__(self, mode: str = "horizontal", *, rate: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = as_choice(mode, modes, self, "mode")
        self.rate = as_number(rate, self, "rate", 0.0, 1.0)

    def steps(self, draws: Draws) -> Sequence[Warp]:
        def side(word: str, length: Any) -> tuple[Any, Any]:
            flip = draws.chance(self.rate) & (word in self.mode)
            return tf.where(flip, -1.0, 1.0), tf.where(flip, length, 0.0)

        return self._warp(*side("vertical", draws.height), *side("horizontal", draws.width))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "rate": self.rate}


@keras.saving.register_keras_serializable(package="kcnn")
class RandomCrop(Geometry):
    """Pad by `padding` and cut out `size` at a random whole-pixel place, another for each image.

    size: pixels or (height, width); None keeps the image's size.
    padding: on each side, a number of pixels (int) or a share of the side (float), or (rows,
        columns) of these.
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        *,
        padding: float | Sequence[float] = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = as_sides(size, self, "size")
        self.padding = as_padding(padding, self, "padding")

    def steps(self, draws: Draws) -> Sequence[Warp]:
        offsets = []
        lengths, known = (draws.height, draws.width), draws.size
        for length, own, wanted, pad in zip(lengths, known, self.size, self.padding, strict=True):
            pixels = tf.round(length * pad) if isinstance(pad, float) else tf.constant(float(pad))
            room = length + 2.0 * pixels - (length if wanted is None else float(wanted))
            if own is not None and wanted is not None:
                most = own + 2 * (round(own * pad) if isinstance(pad, float) else pad)
                if wanted > most:
                    raise ValueError(
                        f"{self.name}: size={wanted} is larger than the padded image of {most} "
                        "pixels; give a smaller size or more padding."
                    )
            offsets.append(tf.floor(draws.uniform() * (room + 1.0)) - pixels)
        one = tf.ones_like(offsets[0])
        return self._warp(one, offsets[0], one, offsets[1], size=self.size)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "padding": self.padding}


@keras.saving.register_keras_serializable(package="kcnn")
class RandomResizedCrop(Geometry):
    """Cut out a random part and resize it to `size` (the image's own by default).

    scale: share of the image's area, uniform; ratio: width over height in pixels, uniform in its
    logarithm. Ten pairs are drawn and the first that fits is taken; if none does, the largest
    centred part with a ratio within range (Szegedy et al., arXiv:1409.4842).
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

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "scale": self.scale, "ratio": self.ratio}
        return {**super().get_config(), **own}
