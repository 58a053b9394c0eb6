"""Arrays in memory become a `Dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.data._assemble import assemble
from kcnn.data._checks import (
    check_images,
    check_labels,
    images_and_labels_match,
    named_labels,
)
from kcnn.data._record import DataError, Dataset
from kcnn.data._rows import Arrays
from kcnn.data._source import LoadOptions, Part, SourceData, register_source

__all__ = ["from_arrays", "look_at_arrays"]

_HASHED = 4096  # images hashed at a time


def look_at_arrays(
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    flip: bool | None = None,
) -> SourceData:
    """Check arrays of images and labels; see `from_arrays`."""
    if (x_test is None) != (y_test is None):
        given, lacking = ("x_test", "y_test") if y_test is None else ("y_test", "x_test")
        raise DataError(f"{name}: {given} without {lacking}; give both or none.")
    rows: dict[str, Arrays] = {}
    labels: dict[str, np.ndarray] = {}
    notes: list[str] = []
    names: Sequence[str] | None = class_names
    given_parts = [("train", "x", x, "y", y)]
    if x_test is not None:
        given_parts.append(("test", "x_test", x_test, "y_test", y_test))
    for part, x_name, x_part, y_name, y_part in given_parts:
        images_and_labels_match(
            np.asarray(x_part), np.asarray(y_part), who=f"{name}, {x_name} and {y_name}"
        )
        images, said = check_images(x_part, who=f"{name}, {x_name}")
        notes.extend(said)
        numbers, names = named_labels(y_part, names, f"{name}, {y_name}")
        labels[part] = check_labels(
            numbers, who=f"{name}, {y_name}", classes=None if names is None else len(names)
        )
        if names is None:
            names = [str(number) for number in range(int(labels[part].max(initial=-1)) + 1)]
        rows[part] = Arrays(images)
    assert names is not None  # set by the first part
    channels = {found.image_shape[2] for found in rows.values()}
    if len(channels) > 1:
        raise DataError(f"{name}: x and x_test differ in channels: {sorted(channels)}.")
    return SourceData(
        name=name,
        parts={part: Part(rows[part], labels[part]) for part in rows},
        class_names=names,
        sizes=np.array([rows["train"].image_shape[:2]]),
        channels=rows["train"].image_shape[2],
        flip=flip,
        notes=notes,
        fingerprint=_fingerprint(rows, labels),
    )


def _fingerprint(rows: dict[str, Arrays], labels: dict[str, np.ndarray]) -> str:
    """A hash over the images and labels of all parts."""
    digest = hashlib.blake2b(digest_size=16)
    for part, found in rows.items():
        x = found.x
        digest.update(f"{part} {x.shape} {x.dtype}".encode())
        for start in range(0, len(x), _HASHED):
            digest.update(np.ascontiguousarray(x[start : start + _HASHED]).data)
        digest.update(np.ascontiguousarray(labels[part]).data)
    return digest.hexdigest()


def from_arrays(
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    **options: Any,
) -> Dataset:
    """Images `x` (n, h, w[, c]) in 0..255 and labels `y` (n,) as a checked, split `Dataset`.

    Without `x_test` a fifth of the images is held out, each class in its share; `val_fraction` of
    the rest chooses between models. Text labels are numbered. `options` are those of
    `kcnn.data.load`. Raises DataError for whatever can't be trained on.
    """
    found = look_at_arrays(x, y, x_test=x_test, y_test=y_test, class_names=class_names, name=name)
    return assemble(found, LoadOptions(**options))


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and all(hasattr(a, "shape") for a in given)


register_source("arrays", matches=_is_pair, load=lambda pair, _: look_at_arrays(*pair))
