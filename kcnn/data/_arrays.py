"""Arrays in memory become a `Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.data._checks import (
    check_classes,
    check_images,
    check_labels,
    images_and_labels_match,
)
from kcnn.data._memory import require_memory
from kcnn.data._record import DataError, Dataset, Split
from kcnn.data._resize import as_size, resize
from kcnn.data._split import make_plan

__all__ = ["from_arrays", "guess_flip"]


def guess_flip(channels: int, what: str) -> tuple[bool, str]:
    """Whether mirroring likely keeps the class where only the images are known, and a note."""
    flip = channels >= 3
    kind = (
        "colour images, taken for photos" if flip else "not colour images, perhaps glyphs or scans"
    )
    return flip, (
        f"{what}: {kind}: a horizontal flip is assumed to {'keep' if flip else 'change'} the class "
        f"(flip={flip}); pass flip={not flip} if that is wrong"
    )


def _named_labels(
    y: Any, class_names: Sequence[Any] | None, who: str
) -> tuple[Any, list[str] | None]:
    """Text labels become numbers in the order of `class_names`, or in alphabetical order."""
    names = None if class_names is None else [str(name) for name in np.asarray(class_names).ravel()]
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"{who}: class_names {names} holds a name twice.")
    y = np.asarray(y)
    if y.dtype.kind not in "US":
        return y, names
    text = y.astype(str)
    names = names or [str(name) for name in np.unique(text)]
    numbers = {name: number for number, name in enumerate(names)}
    unknown = [index for index, label in enumerate(text.ravel()) if str(label) not in numbers]
    if unknown:
        raise DataError(
            f"{who}: {len(unknown)} labels are not among the {len(names)} class names, first "
            f"{str(text.ravel()[unknown[0]])!r} at index {unknown[0]}."
        )
    return np.array([numbers[str(label)] for label in text.ravel()]).reshape(text.shape), names


def from_arrays(
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    flip: bool | None = None,
    image_size: int | tuple[int, int] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    max_images: int | None = None,
) -> Dataset:
    """Images `x` (n, h, w[, c]) in 0..255 and labels `y` (n,) as a checked, split `Dataset`.

    Without `x_test` a fifth of the images is held out, each class in its share; `val_fraction` of
    the rest chooses between models. Text labels are numbered. Raises DataError for whatever can't
    be trained on.
    """
    if (x_test is None) != (y_test is None):
        given, lacking = ("x_test", "y_test") if y_test is None else ("y_test", "x_test")
        raise DataError(f"{name}: {given} without {lacking}; give both or none.")
    images: dict[str, np.ndarray] = {}
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
        images[part], said = check_images(x_part, who=f"{name}, {x_name}")
        notes.extend(said)
        numbers, names = _named_labels(y_part, names, f"{name}, {y_name}")
        labels[part] = check_labels(
            numbers, who=f"{name}, {y_name}", classes=None if names is None else len(names)
        )
        if names is None:
            names = [str(number) for number in range(int(labels[part].max(initial=-1)) + 1)]
    assert names is not None  # set by the first part
    check_classes(labels["train"], names, who=f"{name}, y")
    channels = {images[part].shape[3] for part in images}
    if len(channels) > 1:
        raise DataError(f"{name}: x and x_test differ in channels: {sorted(channels)}.")
    size = as_size(image_size, who=name) or images["train"].shape[1:3]
    plan, said = make_plan(
        labels, name=name, val_fraction=val_fraction, seed=seed, max_images=max_images
    )
    notes.extend(said)
    shape = (*size, *channels)
    require_memory(
        sum(len(index) for _, index in plan.values()),
        shape,
        name=name,
        itemsize=images["train"].itemsize,
    )
    splits = {}
    for part, (source, index) in plan.items():
        chosen = images[source][index]
        if chosen.shape[1:3] != size:
            said = (
                f"{part}: resized from {chosen.shape[1]}x{chosen.shape[2]} to {size[0]}x{size[1]}",
            )
            notes.extend(said)
            chosen = resize(chosen, size)
        splits[part] = Split(chosen, labels[source][index])
    if flip is None:
        flip, said_flip = guess_flip(shape[2], name)
        notes.append(said_flip)
    return Dataset(
        name=name, **splits, class_names=tuple(names), flip=flip, notes=tuple(dict.fromkeys(notes))
    )
