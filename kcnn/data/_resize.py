"""The one size that images are brought to."""

from __future__ import annotations

import numpy as np

from kcnn.data._record import DataError

__all__ = ["LARGEST_GUESS", "as_size", "common_size"]

LARGEST_GUESS = 224  # pixels: a size nobody asked for is not made larger than this


def as_size(image_size: int | tuple[int, int] | None, *, who: str) -> tuple[int, int] | None:
    """`image_size` as (height, width), both at least 1, or None."""
    if image_size is None:
        return None
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
        raise DataError(
            f"{who}: image_size={image_size} is not a number of pixels or (height, width)."
        )
    return int(size[0]), int(size[1])


def common_size(sizes: np.ndarray) -> tuple[int, int]:
    """One (height, width) for images of `sizes` (n, 2): theirs, or the median, at most 224 pixels.

    A median larger than 224 is made smaller with its aspect ratio kept.
    """
    if (sizes == sizes[0]).all():
        return int(sizes[0, 0]), int(sizes[0, 1])
    height, width = np.median(sizes, axis=0)
    shrink = min(1.0, LARGEST_GUESS / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))
