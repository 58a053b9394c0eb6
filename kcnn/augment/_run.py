"""Do a list of steps in as few passes over the pixels as they allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from kcnn.augment import _kernels as kernels
from kcnn.augment import _tone_kernels as tones
from kcnn.augment._batch import Batch
from kcnn.augment._boxes import Boxes, moved
from kcnn.augment._steps import (
    Colour,
    Cut,
    Mix,
    Paint,
    Paste,
    Sharpen,
    Step,
    Tone,
    Warp,
    merge_colours,
    merge_warps,
)
from kcnn.augment._warp import warp

__all__ = ["run"]

VALUE_RANGE = (0.0, 255.0)


def _mergeable(a: Warp, b: Warp) -> bool:
    """Whether they sample alike, and fill alike what lies outside."""
    fills = {(w.fill_mode, w.fill_value) for w in (a, b) if w.fill_mode is not None}
    return a.interpolation == b.interpolation and len(fills) < 2


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Neighbouring warps become one, and colour changes with the rectangles after them."""
    out: list[Step] = []
    for step in steps:
        last = out[-1] if out else None
        if isinstance(step, Warp) and isinstance(last, Warp) and _mergeable(last, step):
            out[-1] = merge_warps(last, step)
        elif isinstance(step, Colour) and isinstance(last, Paint) and not last.cuts:
            colour = step if last.colour is None else merge_colours(last.colour, step)
            out[-1] = Paint(colour, ())
        elif isinstance(step, Cut) and isinstance(last, Paint):
            out[-1] = Paint(last.colour, (*last.cuts, step))
        elif isinstance(step, Colour):
            out.append(Paint(step, ()))
        else:
            out.append(Paint(None, (step,)) if isinstance(step, Cut) else step)
    return out


def run(batch: Batch, steps: Sequence[Step], dtype: str, *, compiled: bool | None = None) -> Batch:
    """`batch` after `steps`, its images as `dtype`; labels, masks and boxes go along.

    A warp, the colour change after it and the rectangles after that take three passes at most: one
    warp, one mean (if contrast is changed), one for the rest.
    """
    left = _merged(steps)
    for at, step in enumerate(left):
        last = at == len(left) - 1
        batch = _DOES[type(step)](batch, step, dtype if last else "float32", compiled)
    return replace(batch, images=kernels.to_dtype(batch.images, dtype))


def _warp(batch: Batch, step: Warp, dtype: str, compiled: bool | None) -> Batch:
    images = warp(batch.images, step, dtype=dtype, compiled=compiled)
    masks, boxes = batch.masks, batch.boxes
    if masks is not None:
        near = replace(step, interpolation="nearest")
        masks = warp(masks, near, dtype=masks.dtype.name, compiled=compiled)
    if boxes is not None:
        height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(images)[1:3]))
        boxes = moved(boxes, step, height, width)
    return replace(batch, images=images, masks=masks, boxes=boxes)


def _paint(batch: Batch, step: Paint, dtype: str, compiled: bool | None) -> Batch:
    images, colour = batch.images, step.colour
    boxes, fills = [cut.box for cut in step.cuts], tuple(cut.fill for cut in step.cuts)
    if colour is None:
        images = kernels.cut(images, boxes, fills=fills, dtype=dtype, compiled=compiled)
        return replace(batch, images=images)
    bias = colour.bias
    if colour.pivot is not None:
        shift = tf.linalg.matvec(colour.pivot, kernels.image_mean(images))
        bias = shift if bias is None else bias + shift
    images = kernels.colour_and_cut(
        images,
        colour.matrix,
        bias,
        boxes,
        fills=fills,
        value_range=VALUE_RANGE,
        dtype=dtype,
        compiled=compiled,
    )
    return replace(batch, images=images)


def _paste(batch: Batch, step: Paste, dtype: str, compiled: bool | None) -> Batch:
    images = tf.cast(batch.images, tf.float32)
    images = kernels.mix(images, step.pixels, None, step.box, dtype=dtype, compiled=compiled)
    return replace(batch, images=images)


def _sharpen(batch: Batch, step: Sharpen, dtype: str, compiled: bool | None) -> Batch:
    images = tones.sharpen(batch.images, step.share, dtype=dtype, compiled=compiled)
    return replace(batch, images=images)


def _tone(batch: Batch, step: Tone, dtype: str, compiled: bool | None) -> Batch:
    images = batch.images
    curves = (step.unit, step.added, step.threshold)
    if step.stretch is not None or any(curve is not None for curve in curves):
        limits = None
        if step.stretch is not None:
            low, high = tones.limits(images, curves, compiled=compiled)
            limits = (low, high, step.stretch)
        to = dtype if step.equalize is None else "float32"
        images = tones.curve(images, curves, limits, dtype=to, compiled=compiled)
    if step.equalize is not None:
        counts = tones.histogram(images, bins=step.bins, compiled=compiled)
        images = tones.look_up(
            images,
            tones.equalizing(counts),
            step.equalize,
            bins=step.bins,
            dtype=dtype,
            compiled=compiled,
        )
    return replace(batch, images=images)


def _beside(first: Any, second: Any) -> Any:
    return None if first is None else tf.concat([first, second], axis=1)


def _mixed(batch: Batch, step: Mix, dtype: str, compiled: bool | None) -> Batch:
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


_DOES: dict[type, Callable[..., Batch]] = {
    Mix: _mixed,
    Paint: _paint,
    Paste: _paste,
    Sharpen: _sharpen,
    Tone: _tone,
    Warp: _warp,
}
