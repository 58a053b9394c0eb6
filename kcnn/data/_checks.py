"""Images and labels are looked at once, before anything is trained on them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np

from kcnn.data._home import keep, recall, store_of
from kcnn.data._progress import progress
from kcnn.data._record import DataError
from kcnn.data._rows import Arrays

__all__ = [
    "check_classes",
    "check_images",
    "check_labels",
    "named_labels",
    "numbered_labels",
]

_CHUNK = 1 << 24  # values looked at in one piece: bounds the memory of a check


def _rows(x: np.ndarray) -> int:
    return max(1, _CHUNK // max(1, int(np.prod(x.shape[1:], dtype=np.int64))))


def _look_through(x: np.ndarray, who: str) -> tuple[float, float, np.ndarray]:
    """Lowest and highest pixel and a hash of each image, in one pass; DataError for NaN."""
    hashes: list[bytes] = []
    low, high, first, bad_images = math.inf, -math.inf, None, 0
    mapped = isinstance(x, np.memmap)
    store = store_of(x) if mapped else None
    known = recall(store, "limits", "hashes") if store else None
    if known is not None and len(known[1]) == len(x):  # hashed at an earlier start
        low, high = known[0].tolist()
        return low, high, known[1]
    with progress(f"Looking through {who}", len(x)) if mapped else nullcontext() as advance:
        for start in range(0, len(x), _rows(x)):
            chunk = np.ascontiguousarray(x[start : start + _rows(x)])
            hashes += [hashlib.blake2b(image, digest_size=16).digest() for image in chunk]
            if x.dtype.kind == "f":
                bad = ~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
                bad_images += int(bad.sum())
                if bad.any() and first is None:
                    first = start + int(np.argmax(bad))
            if x.dtype not in (np.uint8, np.bool_):
                low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
            if advance is not None:
                advance(len(chunk))
    if first is not None:
        raise DataError(
            f"{who}: {bad_images} of {len(x)} images hold NaN or infinite pixels, the first is "
            f"image {first}; remove or repair them."
        )
    found = np.array(hashes, "V16")
    if store:
        with suppress(OSError):  # the next start takes as long as this one
            keep(store, limits=np.array([low, high]), hashes=found)
    return low, high, found


def _scaled(x: np.ndarray, factor: float) -> np.ndarray:
    """`x * factor`, as uint8 if that loses nothing that float32 would keep, else float32."""
    whole = True
    for start in range(0, len(x), _rows(x)):
        chunk = np.asarray(x[start : start + _rows(x)], np.float32) * np.float32(factor)
        if np.abs(chunk - np.rint(chunk)).max(initial=0.0) > 1e-3:
            whole = False
            break
    out = np.empty(x.shape, np.uint8 if whole else np.float32)
    for start in range(0, len(x), _rows(x)):
        chunk = np.asarray(x[start : start + _rows(x)], np.float32) * np.float32(factor)
        out[start : start + _rows(x)] = np.rint(chunk) if whole else chunk
    return out


def check_images(x: Any, *, who: str = "x") -> tuple[Arrays, list[str], np.ndarray]:
    """Raw images (n, h, w, c) in 0..255, notes on what was done to them, and a hash of each.

    (n, height, width) gets a channel axis; floats in 0..1 and booleans are scaled to 0..255 (what
    is memory-mapped when it is read). Raises DataError for anything else: object arrays, another
    rank, channels first, NaN or infinite pixels (first bad image and how many), pixels outside
    0..255.
    """
    x, notes = np.asanyarray(x), []
    if x.dtype.kind not in "buif":
        raise DataError(
            f"{who}: pixels of dtype {x.dtype} are no numbers; give uint8 images 0..255."
        )
    if x.ndim == 3:
        x = x[..., None]
        notes.append(f"{who} has no channel axis: read as one channel")
    if x.ndim != 4:
        raise DataError(
            f"{who}: shape {x.shape} is not (images, height, width) or (images, height, width, "
            "channels)."
        )
    if 0 in x.shape:
        raise DataError(f"{who}: shape {x.shape} holds no pixel; at least one image is needed.")
    if x.shape[1] in (1, 3) and x.shape[3] > 4 and x.shape[2] > 4:
        raise DataError(
            f"{who}: shape {x.shape} looks channels-first; give (images, height, width, channels), "
            f"for instance {who}.transpose(0, 2, 3, 1)."
        )
    low, high, hashes = _look_through(x, who)
    if x.dtype == np.uint8:
        return Arrays(x), notes, hashes
    if x.dtype == np.bool_:
        notes.append(f"{who} is boolean: scaled to 0 and 255")
        return _brought_to_255(x, 255.0), notes, hashes
    if low < 0.0 or high > 255.0:
        bad = ((x < 0) | (x > 255)).reshape(len(x), -1).any(axis=1)
        raise DataError(
            f"{who}: pixels lie in {low:.6g}..{high:.6g}, outside 0..255, in {int(bad.sum())} "
            f"images, the first is image {int(np.argmax(bad))}; "
            "give raw images 0..255 (kcnn normalises)."
        )
    factor = 1.0
    if x.dtype.kind == "f" and high <= 1.0:
        factor = 255.0
        notes.append(f"{who} lies in 0..1: scaled to 0..255")
    return _brought_to_255(x, factor), notes, hashes


def _brought_to_255(x: np.ndarray, factor: float) -> Arrays:
    """At once in memory, else whenever an image is read."""
    return Arrays(x, scale=factor) if isinstance(x, np.memmap) else Arrays(_scaled(x, factor))


def named_labels(
    y: Any, class_names: Sequence[Any] | None, who: str
) -> tuple[Any, list[str] | None]:
    """Text labels become numbers in the order of `class_names`, or in alphabetical order."""
    names = None if class_names is None else [str(name) for name in np.asarray(class_names).ravel()]
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"{who}: class_names {names} holds a name twice.")
    y = np.asarray(y)
    if y.dtype.kind == "O" and all(isinstance(label, bytes) for label in y.ravel()):
        y = y.astype("S")
    if y.dtype.kind not in "US":
        return y, names
    text = np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y
    names = names or [str(name) for name in np.unique(text)]
    numbers = {name: number for number, name in enumerate(names)}
    unknown = [index for index, label in enumerate(text.ravel()) if str(label) not in numbers]
    if unknown:
        raise DataError(
            f"{who}: {len(unknown)} labels are not among the {len(names)} class names, first "
            f"{str(text.ravel()[unknown[0]])!r} at index {unknown[0]}."
        )
    return np.array([numbers[str(label)] for label in text.ravel()]).reshape(text.shape), names


def check_labels(y: Any, *, who: str = "y", classes: int | None = None) -> np.ndarray:
    """Labels as int64 (n,), all in 0..classes-1 where `classes` is known.

    Raises DataError for float labels, another shape, and labels outside the range
    (first bad index and how many).
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{who}: shape {y.shape} is not (images,): one class number per image.")
    if y.dtype.kind == "f":
        bad = ~np.isfinite(y) | (y != np.rint(y))
        seen = f", {int(bad.sum())} of them no whole number" if bad.any() else ""
        raise DataError(
            f"{who}: labels are {y.dtype}{seen}; class numbers must be integers, for instance "
            f'{who}.astype("int64").'
        )
    if y.dtype.kind not in "iub":
        raise DataError(f"{who}: labels of dtype {y.dtype} are no class numbers 0..classes-1.")
    bad = y.astype(np.int64) < 0
    if classes is not None:
        bad |= y.astype(np.int64) >= classes
    if bad.any():
        first = int(np.argmax(bad))
        rule = f"0..{classes - 1}" if classes is not None else "0 and up"
        raise DataError(
            f"{who}: {int(bad.sum())} labels lie outside {rule}, the first is {int(y[first])} at "
            f"index {first}."
        )
    return y.astype(np.int64)


def numbered_labels(
    y: np.ndarray, class_names: Sequence[str] | None, *, who: str, several: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers, one-hot rows or rows of zeros and ones as the labels of a `Split`, and notes.

    several: rows stay rows, even if each holds a single one.
    """
    classes = None if class_names is None else len(class_names)
    if y.ndim != 2 or y.shape[1] == 1:
        return check_labels(y, who=who, classes=classes), ()
    if not np.isin(y, (0, 1)).all():
        raise DataError(
            f"{who}: labels of shape {y.shape} hold other numbers than 0 and 1; give class numbers."
        )
    if classes is not None and y.shape[1] != classes:
        raise DataError(f"{who}: labels of {y.shape[1]} columns for {classes} class names.")
    if not several and (y.sum(axis=1) == 1).all():
        return y.argmax(axis=1).astype(np.int64), (f"{who}: one-hot labels read as class numbers",)
    return y.astype(np.float32), ()


def check_classes(y: np.ndarray, class_names: Sequence[str], *, who: str) -> None:
    """DataError if there is one single class, or a class without any training image.

    `y` are class numbers (n,), or zeros and ones (n, classes).
    """
    if len(class_names) < 2:
        found = repr(class_names[0]) if class_names else "none"
        raise DataError(f"{who}: one single class ({found}); two or more are needed to tell apart.")
    counts = y.sum(axis=0) if y.ndim == 2 else np.bincount(y, minlength=len(class_names))
    missing = np.flatnonzero(counts == 0)
    if len(missing):
        named = ", ".join(repr(class_names[int(c)]) for c in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(
            f"{who}: no image of {'class' if len(missing) == 1 else 'classes'} {named}{more} among "
            f"{len(class_names)} classes; add images of it, or leave the class out (labels must "
            "use every number from 0)."
        )
