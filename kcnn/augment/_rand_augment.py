"""RandAugment: for each image a few operations out of many, all done in a handful of passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kcnn.augment._arguments import as_choice, as_factors, as_number, as_whole
from kcnn.augment._colour import brighter, contrast_by_channel, towards_gray
from kcnn.augment._draws import Draws
from kcnn.augment._geometry import FilledGeometry
from kcnn.augment._steps import Sharpen, Step, Tone
from kcnn.augment._tone import BITS, NEVER, levels_apart

__all__ = ["RandAugment"]

TONES = ("posterization", "solarization", "auto_contrast", "equalization")  # one pass together
OPERATIONS = (
    "shear",
    "translation",
    "rotation",
    "brightness",
    "color_degeneration",
    "contrast",
    "sharpness",
    *TONES,
)


@keras.saving.register_keras_serializable(package="kcnn")
class RandAugment(FilledGeometry):
    """Some of eleven operations on each image. Cubuk et al., arXiv:1909.13719.

    The operations are those of `keras.layers.RandAugment`, done in the order of its list whatever
    order they were drawn in, so that all geometry is one warp and all colour one matrix. Where it
    differs: each image draws its own (Keras one set for the whole batch), none twice; each way is
    as likely (Keras turns counter-clockwise, moves down and right, brightens and blurs alone); a
    greater factor always means a greater change (in Keras a small one leaves a bit of each value
    and inverts nearly all of them).

    num_ops: how many of the operations.
    factor: (lower, upper), or f for (0, f), within 0..1, of which each operation draws how strong
        it is: a shear by that much, a shift by that share of the side, a turn by that share of
        `max_rotation`, brightness by that share of 255, contrast times 1 + or - that, colour that
        far towards gray, an edge that much softer or sharper, that share of eight bits fewer,
        inverted from that share below 255 on. The last two have no strength.
    max_rotation: in full turns; Keras's is 1, the paper's 30 degrees.
    operations: names of those to draw from.

    >>> RandAugment(seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self,
        num_ops: int = 2,
        factor: float | Sequence[float] = 0.5,
        *,
        max_rotation: float = 1 / 6,
        operations: Sequence[str] = OPERATIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name in operations:
            as_choice(name, OPERATIONS, self, "operations")
        self.operations = tuple(name for name in OPERATIONS if name in operations)
        self.num_ops = as_whole(num_ops, self, "num_ops", 0, len(self.operations))
        self.factor = as_factors(factor, self, "factor", 0.0, 1.0)
        self.max_rotation = as_number(max_rotation, self, "max_rotation", 0.0, 1.0)

    def _chosen(self, draws: Draws) -> dict[str, Any]:
        """For each operation whether an image has it, bool (b,): `num_ops` of them."""
        lots = draws.uniform(tries=len(self.operations))
        rank = tf.reduce_sum(tf.cast(lots[None] < lots[:, None], tf.int32), axis=1)
        return dict(zip(self.operations, tf.unstack(rank < self.num_ops), strict=True))

    def steps(self, draws: Draws) -> Sequence[Step]:
        chosen = self._chosen(draws)

        def strength(name: str) -> Any:
            """(b,), 0 for images that don't have the operation."""
            return tf.where(chosen[name], draws.uniform(*self.factor), 0.0)

        steps: list[Step] = []
        for name in chosen:
            if name not in TONES:
                steps += self._changes(name, draws, strength(name))
        tone: dict[str, Any] = {}
        if "posterization" in chosen:
            bits = float(BITS) - tf.floor(BITS * strength("posterization"))
            tone["unit"] = levels_apart(tf.maximum(bits, 1.0))
        if "solarization" in chosen:
            threshold = 255.0 * (1.0 - strength("solarization"))
            tone["threshold"] = tf.where(chosen["solarization"], threshold, NEVER)
        if "auto_contrast" in chosen:
            tone["stretch"] = chosen["auto_contrast"]
        if "equalization" in chosen:
            tone["equalize"] = chosen["equalization"]
        return [*steps, Tone(**tone)] if tone else steps

    def _changes(self, name: str, draws: Draws, strength: Any) -> Sequence[Step]:
        """What an operation that is no curve does to each image; at strength 0 nothing."""
        if name == "color_degeneration":
            return [towards_gray(1.0 - strength, draws.channels)]
        one, way = tf.ones_like(strength), draws.sign() * strength
        if name == "rotation":
            return self._turned(draws, 2.0 * math.pi * self.max_rotation * way)
        if name == "brightness":
            return [brighter(255.0 * way, draws.channels)]
        if name == "contrast":
            return [contrast_by_channel(1.0 + way, draws.channels)]
        if name == "sharpness":
            return [Sharpen(1.0 + way)]
        other = draws.sign() * strength
        if name == "shear":
            return self._about_centre(draws, one, one, way, other)
        return self._warp(one, way * draws.height, one, other * draws.width)
