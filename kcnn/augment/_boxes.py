"""Bounding boxes: their formats, and where a warp moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kcnn.augment._steps import Warp

__all__ = ["FORMATS", "Boxes", "moved"]

LAYOUTS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
FORMATS = (*LAYOUTS, *(f"rel_{layout}" for layout in LAYOUTS))
GONE = -1  # the class of a box that is none: filling, or moved out of sight


@dataclass(frozen=True)
class Boxes:
    """corners (b, n, 4): x0, y0, x1, y1 in pixels, float32; classes (b, n) or (b, n, k), or None.

    A box whose class is -1 is none; as in Keras and keras-cv one that left the image becomes that.
    """

    corners: Any
    classes: Any = None

    @classmethod
    def read(cls, boxes: Any, classes: Any, layout: str, height: Any, width: Any) -> Boxes:
        """From `boxes` (b, n, 4) in one of FORMATS, of images of this size."""
        corners = tf.cast(boxes, tf.float32)
        if layout.startswith("rel_"):
            corners *= _unit(layout, height, width)
        a, b, c, d = tf.unstack(corners, axis=-1)
        if _y_first(layout):
            a, b, c, d = b, a, d, c
        if "h" in layout:
            start_x, start_y = (a - c / 2.0, b - d / 2.0) if "center" in layout else (a, b)
            a, b, c, d = start_x, start_y, start_x + c, start_y + d
        return cls(tf.stack([a, b, c, d], axis=-1), classes)

    def written(self, layout: str, height: Any, width: Any) -> Any:
        """The boxes (b, n, 4) in one of FORMATS, float32."""
        a, b, c, d = tf.unstack(self.corners, axis=-1)
        if "h" in layout:
            c, d = c - a, d - b
            a, b = (a + c / 2.0, b + d / 2.0) if "center" in layout else (a, b)
        if _y_first(layout):
            a, b, c, d = b, a, d, c
        boxes = tf.stack([a, b, c, d], axis=-1)
        return boxes / _unit(layout, height, width) if layout.startswith("rel_") else boxes


def _y_first(layout: str) -> bool:
    return layout.index("y") < layout.index("x")


def _unit(layout: str, height: Any, width: Any) -> Any:
    """(4,) what 1 stands for in each place of a relative format, in pixels."""
    return tf.stack([height, width] * 2 if _y_first(layout) else [width, height] * 2)


def moved(boxes: Boxes, warp: Warp, height: Any, width: Any) -> Boxes:
    """The boxes around where `warp` moves theirs, within its output of this size.

    height, width: of the output, float32.
    """
    yx, xy = (tf.zeros_like(warp.yy) if turn is None else turn for turn in (warp.yx, warp.xy))
    area = (warp.yy * warp.xx - yx * xy)[:, None, None]
    x0, y0, x1, y1 = tf.unstack(boxes.corners, axis=-1)
    y, x = tf.stack([y0, y0, y1, y1], axis=-1), tf.stack([x0, x1, x0, x1], axis=-1)
    y, x = y - warp.y0[:, None, None], x - warp.x0[:, None, None]
    yy, xx, yx, xy = (entry[:, None, None] for entry in (warp.yy, warp.xx, yx, xy))
    ys = tf.math.divide_no_nan(xx * y - yx * x, area)
    xs = tf.math.divide_no_nan(yy * x - xy * y, area)
    sides = [
        tf.clip_by_value(reduce(points, axis=-1), 0.0, length)
        for reduce in (tf.reduce_min, tf.reduce_max)
        for points, length in ((xs, width), (ys, height))
    ]
    seen = (sides[2] > sides[0]) & (sides[3] > sides[1])
    corners, classes = tf.stack(sides, axis=-1), boxes.classes
    if classes is not None:
        wide = classes.shape.rank == 3
        none = tf.cast(GONE, classes.dtype)
        was_none = tf.reduce_all(classes == none, axis=-1) if wide else classes == none
        corners = tf.where(was_none[..., None], boxes.corners, corners)
        classes = tf.where(seen[..., None] if wide else seen, classes, none)
    return Boxes(corners, classes)
