"""Do a list of steps in as few passes over the pixels as they allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kcnn.augment import _kernels as kernels
from kcnn.augment._steps import Colour, Cut, Mix, Warp, merge_colours, merge_warps
from kcnn.augment._warp import warp as warp_images

__all__ = ["run"]

VALUE_RANGE = (0.0, 255.0)


def _mergeable(a: Warp, b: Warp) -> bool:
    return (a.fill_mode, a.fill_value) == (b.fill_mode, b.fill_value)


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


def run(
    images: Any, labels: Any, steps: Sequence[Any], dtype: str, *, compiled: bool | None = None
) -> tuple[Any, Any]:
    """`images` (b, h, w, c) after `steps`, as `dtype`, and `labels` (b, k) after their mixes.

    A warp, the colour change after it and the rectangles after that take three passes at most: one
    warp, one mean (if contrast is changed), one for the rest.
    """
    left = _merged(steps)
    while left:
        warp = _take(left, Warp)
        if warp is not None:
            images = warp_images(
                images,
                (warp.yy, warp.y0, warp.xx, warp.x0),
                None if warp.axes else (warp.yx, warp.xy),
                size=warp.size,
                fill_mode=warp.fill_mode,
                fill_value=warp.fill_value,
                dtype="float32" if left else dtype,
                compiled=compiled,
            )
        colour = _take(left, Colour)
        cuts = []
        while left and isinstance(left[0], Cut):
            cuts.append(left.pop(0))
        if colour is not None or cuts:
            images = _colour_and_cut(images, colour, cuts, "float32" if left else dtype, compiled)
        mixing = _take(left, Mix)
        if mixing is not None:
            partners = tf.gather(images, mixing.partner)
            images = kernels.mix(
                images,
                partners,
                mixing.share,
                mixing.box,
                dtype="float32" if left else dtype,
                compiled=compiled,
            )
            share = tf.cast(mixing.share, labels.dtype)[:, None]
            labels = labels * share + tf.gather(labels, mixing.partner) * (1 - share)
    return kernels.to_dtype(images, dtype), labels


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
