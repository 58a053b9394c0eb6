"""The pass that mixes the images of a batch, with their labels, masks and boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from kcnn.augment import _kernels as kernels
from kcnn.augment._batch import Batch
from kcnn.augment._boxes import Boxes
from kcnn.augment._steps import Mix

__all__ = ["mixed"]


def _beside(first: Any, second: Any) -> Any:
    return None if first is None else tf.concat([first, second], axis=1)


def mixed(batch: Batch, step: Mix, dtype: str, compiled: bool | None) -> Batch:
    """`batch` after `step`: an image that is blended has its partner's boxes beside its own."""

    def partners(x: Any) -> Any:
        return None if x is None else tf.gather(x, step.partner)

    def pixels(x: Any, dtype: str) -> Any:
        share = step.share if step.box is None else step.inside
        return kernels.mix(x, partners(x), share, step.box, dtype=dtype, compiled=compiled)

    images = pixels(batch.images, dtype)
    labels, masks, boxes = batch.labels, batch.masks, batch.boxes
    if labels is not None:
        share = tf.cast(step.share, labels.dtype)[:, None]
        labels = labels * share + partners(labels) * (1 - share)
    blends = step.box is None or step.inside is not None
    if masks is not None and blends and not masks.dtype.is_floating:
        raise ValueError(
            f"Mixing can't blend {masks.dtype.name} masks; give float ones with a channel for each "
            "class (keras.ops.one_hot makes them), or use CutMix."
        )
    if masks is not None:
        masks = pixels(masks, masks.dtype.name)
    if boxes is not None:
        boxes = Boxes(
            _beside(boxes.corners, partners(boxes.corners)),
            _beside(boxes.classes, partners(boxes.classes)),
        )
    return replace(batch, images=images, labels=labels, masks=masks, boxes=boxes)
