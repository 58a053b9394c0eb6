"""Do a list of steps in as few passes over the pixels as they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from kcnn.augment import _kernels as kernels
from kcnn.augment._batch import Batch
from kcnn.augment._boxes import moved
from kcnn.augment._mixing import mixed
from kcnn.augment._steps import Colour, Cut, Mix, Paste, Warp, merge_colours, merge_warps
from kcnn.augment._warp import warp

__all__ = ["run"]

VALUE_RANGE = (0.0, 255.0)


def _mergeable(a: Warp, b: Warp) -> bool:
    """Whether they sample alike, and fill alike what lies outside."""
    fills = {(w.fill_mode, w.fill_value) for w in (a, b) if w.fill_mode is not None}
    return a.interpolation == b.interpolation and len(fills) < 2


def _merged(steps: Sequence[Any]) -> list[Any]:
    """Neighbouring warps become one, and neighbouring colour changes."""
    out: list[Any] = []
    for step in steps:
        last = out[-1] if out else None
        if isinstance(step, Warp) and isinstance(last, Warp) and _mergeable(last, step):
            out[-1] = merge_warps(last, step)
        elif isinstance(step, Colour) and isinstance(last, Colour):
            out[-1] = merge_colours(last, step)
        else:
            out.append(step)
    return out


def _take(steps: list[Any], kind: type) -> Any:
    return steps.pop(0) if steps and isinstance(steps[0], kind) else None


def run(batch: Batch, steps: Sequence[Any], dtype: str, *, compiled: bool | None = None) -> Batch:
    """`batch` after `steps`, its images as `dtype`; labels, masks and boxes go along.

    A warp, the colour change after it and the rectangles after that take three passes at most: one
    warp, one mean (if contrast is changed), one for the rest.
    """
    left = _merged(steps)
    while left:
        warp = _take(left, Warp)
        if warp is not None:
            batch = _warped(batch, warp, "float32" if left else dtype, compiled)
        colour = _take(left, Colour)
        cuts = []
        while left and isinstance(left[0], Cut):
            cuts.append(left.pop(0))
        if colour is not None or cuts:
            to = "float32" if left else dtype
            images = _colour_and_cut(batch.images, colour, cuts, to, compiled)
            batch = replace(batch, images=images)
        patch = _take(left, Paste)
        if patch is not None:
            to = "float32" if left else dtype
            images = tf.cast(batch.images, tf.float32)
            images = kernels.mix(images, patch.pixels, None, patch.box, dtype=to, compiled=compiled)
            batch = replace(batch, images=images)
        mixing = _take(left, Mix)
        if mixing is not None:
            batch = mixed(batch, mixing, "float32" if left else dtype, compiled)
    return replace(batch, images=kernels.to_dtype(batch.images, dtype))


def _warped(batch: Batch, step: Warp, dtype: str, compiled: bool | None) -> Batch:
    images = warp(batch.images, step, dtype=dtype, compiled=compiled)
    masks, boxes = batch.masks, batch.boxes
    if masks is not None:
        near = replace(step, interpolation="nearest")
        masks = warp(masks, near, dtype=masks.dtype.name, compiled=compiled)
    if boxes is not None:
        height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(images)[1:3]))
        boxes = moved(boxes, step, height, width)
    return replace(batch, images=images, masks=masks, boxes=boxes)


def _colour_and_cut(
    images: Any, colour: Colour | None, cuts: list[Cut], dtype: str, compiled: bool | None
) -> Any:
    boxes, fills = [cut.box for cut in cuts], tuple(cut.fill for cut in cuts)
    if colour is None:
        return kernels.cut(images, boxes, fills=fills, dtype=dtype, compiled=compiled)
    bias = colour.bias
    if colour.pivot is not None:
        moved = tf.linalg.matvec(colour.pivot, kernels.image_mean(images))
        bias = moved if bias is None else bias + moved
    return kernels.colour_and_cut(
        images,
        colour.matrix,
        bias,
        boxes,
        fills=fills,
        value_range=VALUE_RANGE,
        dtype=dtype,
        compiled=compiled,
    )
