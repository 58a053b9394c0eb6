"""Arrays in memory become a `Dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.data._assemble import assemble
from kcnn.data._checks import check_images, named_labels, numbered_labels
from kcnn.data._record import DataError, Dataset
from kcnn.data._source import LoadOptions, Part, SourceData, register_source

__all__ = ["from_arrays", "look_at_arrays"]


def look_at_arrays(
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> SourceData:
    """Check arrays of images and labels; see `from_arrays`."""
    if (x_test is None) != (y_test is None):
        given, lacking = ("x_test", "y_test") if y_test is None else ("y_test", "x_test")
        raise DataError(f"{name}: {given} without {lacking}; give both or none.")
    given_parts = [("train", "x", x, "y", y)]
    if x_test is not None:
        given_parts.append(("test", "x_test", x_test, "y_test", y_test))
    parts: dict[str, Part] = {}
    shapes: dict[str, tuple[int, int, int]] = {}
    notes: list[str] = []
    names = class_names
    digest = hashlib.blake2b(digest_size=16)
    for part, x_name, x_part, y_name, y_part in given_parts:
        if len(np.asarray(x_part)) != len(np.asarray(y_part)):
            raise DataError(
                f"{name}, {x_name} and {y_name}: {len(np.asarray(x_part))} images but "
                f"{len(np.asarray(y_part))} labels; one label per image is needed."
            )
        rows, said, hashes = check_images(x_part, who=f"{name}, {x_name}")
        who = f"{name}, {y_name}"
        numbers, names = named_labels(y_part, names, who)
        several = any(found.labels.ndim == 2 for found in parts.values())
        labels, renamed = numbered_labels(numbers, names, who=who, several=several)
        if names is None:
            classes = labels.shape[1] if labels.ndim == 2 else int(labels.max(initial=-1)) + 1
            names = [str(number) for number in range(classes)]
        notes += [*said, *renamed]
        parts[part], shapes[part] = Part(rows, labels, hashes=hashes), rows.image_shape
        digest.update(f"{part} {rows.x.shape} {rows.x.dtype}".encode())
        digest.update(hashes.tobytes() + labels.tobytes())
    assert names is not None  # set by the first part
    channels = {shape[2] for shape in shapes.values()}
    if len(channels) > 1:
        raise DataError(f"{name}: x and x_test differ in channels: {sorted(channels)}.")
    return SourceData(
        name=name,
        parts=parts,
        class_names=names,
        sizes=np.array([shapes["train"][:2]]),
        channels=shapes["train"][2],
        notes=notes,
        fingerprint=digest.hexdigest(),
    )


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

    >>> len(from_arrays(np.zeros((50, 8, 8, 1)), np.arange(50) % 2).train)
    36
    """
    found = look_at_arrays(x, y, x_test=x_test, y_test=y_test, class_names=class_names, name=name)
    return assemble(found, LoadOptions(**options))


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and all(hasattr(a, "shape") for a in given)


def _load_pair(pair: Any, options: LoadOptions) -> SourceData:
    return look_at_arrays(*pair, class_names=options.class_names)


register_source("arrays", matches=_is_pair, load=_load_pair)
