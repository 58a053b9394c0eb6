"""One pass over a stream: labels, sizes and what is wrong with its pixels, in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcnn.data._elements import Elements
from kcnn.data._headers import BadImage, read_header
from kcnn.data._progress import progress
from kcnn.data._record import DataError

__all__ = ["Survey", "refuse_other_order", "survey"]

_COLUMN = 4096  # labels that become one array: single ones take ten times the memory
_COMPARED = 64  # first images that a second reading must give again in the same order


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass found; `sizes` (n, 2), `scale` brings the pixels to 0..255."""

    labels: np.ndarray
    sizes: np.ndarray
    channels: int
    scale: float
    notes: Sequence[str]
    fingerprint: str
    first: Sequence[bytes]  # hashes of the first images


def survey(elements: Elements, *, who: str) -> Survey:
    """Look at every image and label once; DataError that says at which image what is wrong."""
    labels, few, sizes, first = [], [], array("i"), []
    channels: set[int] = set()
    low, high, floats = np.inf, -np.inf, False
    digest = hashlib.blake2b(digest_size=16)
    with progress(f"Looking at the {who}", elements.length) as advance:
        for number, (image, label) in enumerate(elements.pairs()):
            height, width, depth = _size(image, f"{who}, image {number}")
            few.append(label)
            if len(few) == _COLUMN:
                labels.append(_joined(np.asarray, few, who))
                few.clear()
            sizes.extend((height, width))
            channels.add(depth)
            data = image if isinstance(image, bytes) else np.ascontiguousarray(image).data
            digest.update(data)
            if number < _COMPARED:
                first.append(hashlib.blake2b(data).digest())
            if not isinstance(image, bytes):
                floats |= image.dtype.kind == "f"
                low, high = min(low, float(image.min())), max(high, float(image.max()))
            advance(1)
    if few:
        labels.append(_joined(np.asarray, few, who))
    if not labels:
        raise DataError(f"{who}: holds no image.")
    if len(channels) > 1 and channels != {1, 3}:
        raise DataError(f"{who}: images of {sorted(channels)} channels; bring them to one number.")
    scale, notes = 1.0, []
    if floats and high <= 1.0:
        scale, notes = 255.0, [f"{who} lies in 0..1: scaled to 0..255"]
    stacked = _joined(np.concatenate, labels, who)
    digest.update(stacked.tobytes())
    return Survey(
        stacked,
        np.array(sizes).reshape(-1, 2),
        max(channels),
        scale,
        notes,
        digest.hexdigest(),
        first,
    )


def _joined(join: Callable[..., np.ndarray], labels: list[Any], who: str) -> np.ndarray:
    try:
        return join(labels)
    except ValueError as error:
        raise DataError(f"{who}: labels of different shapes; give one form to all.") from error


def _size(image: Any, where: str) -> tuple[int, int, int]:
    """(height, width, channels) of an image that can be trained on."""
    if isinstance(image, bytes):
        try:
            header = read_header(image)
        except BadImage as error:
            raise DataError(f"{where}: {error}; leave it out of the stream.") from error
        return header.height, header.width, header.channels
    if image.dtype.kind not in "buif" or image.ndim not in (2, 3) or 0 in image.shape:
        raise DataError(
            f"{where}: {image.dtype} of shape {image.shape}; expected numbers (height, width, "
            "channels)."
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataError(f"{where}: holds NaN or infinite pixels; remove or repair it.")
    if image.dtype != np.uint8 and (image.min() < 0 or image.max() > 255):
        raise DataError(
            f"{where}: pixels lie in {image.min():.6g}..{image.max():.6g}, outside 0..255; give "
            "raw images 0..255 (kcnn normalises)."
        )
    height, width, *channels = image.shape
    return height, width, channels[0] if channels else 1


def refuse_other_order(elements: Elements, seen: Survey, *, who: str) -> None:
    """DataError if a second reading begins otherwise: then no split could be kept apart."""
    for (image, _), before in zip(
        itertools.islice(elements.pairs(), _COMPARED), seen.first, strict=False
    ):
        data = image if isinstance(image, bytes) else np.ascontiguousarray(image).data
        if hashlib.blake2b(data).digest() != before:
            raise DataError(
                f"{who}: gives its images in another order each time; give it unshuffled "
                "and before random augmentation (batches(..., shuffle=True) shuffles)."
            )
