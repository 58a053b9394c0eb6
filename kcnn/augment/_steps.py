"""What a layer wants done to a batch, as data, so that neighbours can be merged into one pass.

Points are continuous: pixel (i, j) covers i..i+1 and j..j+1, its centre is (i + 0.5, j + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

__all__ = [
    "GRAY",
    "Colour",
    "Cut",
    "Mix",
    "Paint",
    "Paste",
    "Sharpen",
    "Step",
    "Tone",
    "Warp",
    "gray_weights",
    "merge_colours",
    "merge_warps",
]

GRAY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601


@dataclass(frozen=True)
class Warp:
    """Where each output point (y, x) lies in the input, entries (b,) of a 2x3 matrix.

    In the input it is at (yy * y + yx * x + y0, xy * y + xx * x + x0); yx and xy are None if rows
    stay rows and columns columns for every image: flips, crops, scales.

    size: (height, width) of the output in pixels; None for the input's own.
    interpolation: "bilinear" or "nearest".
    fill_mode: what lies outside: "constant", "nearest" or "reflect"; fill_value is that constant.
        None where no point lies outside.
    """

    yy: Any
    y0: Any
    xx: Any
    x0: Any
    yx: Any = None
    xy: Any = None
    size: tuple[int | None, int | None] = (None, None)
    interpolation: str = "bilinear"
    fill_mode: str | None = None
    fill_value: float = 0.0

    @property
    def axes(self) -> bool:
        """Whether rows stay rows and columns columns."""
        return self.yx is None


@dataclass(frozen=True)
class Colour:
    """pixel -> matrix @ pixel + pivot @ mean + bias, `mean` being that of the image's pixels.

    matrix and pivot (b, c, c), bias (b, c); pivot and bias may be None.
    """

    matrix: Any
    pivot: Any = None
    bias: Any = None


@dataclass(frozen=True)
class Cut:
    """Rectangles (y0, x0, y1, x1), each (b,): the pixels with centres inside get `fill`."""

    box: tuple[Any, Any, Any, Any]
    fill: float


@dataclass(frozen=True)
class Paint:
    """A colour change, or None, and the rectangles after it: what one pass does."""

    colour: Colour | None
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Sharpen:
    """share (b,) of the image in a mixture with its blurred self: 1 leaves it, 2 sharpens."""

    share: Any


@dataclass(frozen=True)
class Tone:
    """Curves that each channel goes through by itself, in this order; each may be None.

    unit (b,): of which values become whole multiples, rounded down; 0 leaves them.
    added, threshold (b,): values plus `added`, clipped, are inverted from `threshold` on.
    stretch (b,), bool: the values are stretched to 0..255.
    equalize (b,), bool: the values become about equally frequent, counted in `bins`.
    """

    unit: Any = None
    added: Any = None
    threshold: Any = None
    stretch: Any = None
    equalize: Any = None
    bins: int = 256


@dataclass(frozen=True)
class Paste:
    """The pixels of rectangles (y0, x0, y1, x1), each (b,), from `pixels` (b, h, w, c)."""

    box: tuple[Any, Any, Any, Any]
    pixels: Any


@dataclass(frozen=True)
class Mix:
    """In `box[i]` (everywhere if None) image i becomes a mixture with image `partner[i]`.

    share (b,): of the image itself, in the labels and, without a box, in the pixels.
    inside (b,): of the image itself in the box's pixels; None: the partner's pixels alone.
    """

    partner: Any
    share: Any
    box: tuple[Any, Any, Any, Any] | None = None
    inside: Any = None


Step = Warp | Colour | Cut | Paint | Paste | Sharpen | Tone | Mix


def gray_weights(channels: int) -> Any:
    """Weights (c,) of the channels in the gray value: BT.601 for three, else all alike."""
    return tf.constant(GRAY if channels == 3 else [1.0 / channels] * channels, tf.float32)


def merge_warps(first: Warp, then: Warp) -> Warp:
    """One warp that does `first` and then `then`, reading the image once."""
    a, b = first, then
    height, width = (was if own is None else own for own, was in zip(b.size, a.size, strict=True))
    rest: dict[str, Any] = {
        "size": (height, width),
        "interpolation": b.interpolation,
        "fill_mode": b.fill_mode or a.fill_mode,
        "fill_value": b.fill_value if b.fill_mode else a.fill_value,
    }
    if a.axes and b.axes:
        return Warp(a.yy * b.yy, a.yy * b.y0 + a.y0, a.xx * b.xx, a.xx * b.x0 + a.x0, **rest)
    a_yx, a_xy, b_yx, b_xy = (
        tf.zeros_like(a.yy) if turn is None else turn for turn in (a.yx, a.xy, b.yx, b.xy)
    )
    return Warp(
        yy=a.yy * b.yy + a_yx * b_xy,
        y0=a.yy * b.y0 + a_yx * b.x0 + a.y0,
        xx=a_xy * b_yx + a.xx * b.xx,
        x0=a_xy * b.y0 + a.xx * b.x0 + a.x0,
        yx=a.yy * b_yx + a_yx * b.xx,
        xy=a_xy * b.yy + a.xx * b_xy,
        **rest,
    )


def merge_colours(first: Colour, then: Colour) -> Colour:
    """One colour pass that does `first` and then `then`.

    The mean after `first` is (matrix + pivot) @ mean + bias.
    """

    def plus(a: Any, b: Any) -> Any:
        return b if a is None else a if b is None else a + b

    matrix, pivot, bias = tf.matmul(then.matrix, first.matrix), None, then.bias
    if first.pivot is not None:
        pivot = tf.matmul(then.matrix, first.pivot)
    if then.pivot is not None:
        pivot = plus(pivot, tf.matmul(then.pivot, plus(first.matrix, first.pivot)))
    if first.bias is not None:
        bias = plus(bias, tf.linalg.matvec(plus(then.matrix, then.pivot), first.bias))
    return Colour(matrix, pivot, bias)
