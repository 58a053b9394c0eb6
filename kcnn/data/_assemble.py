"""From what a source found to a `Dataset`: splits, one size, checks."""

from __future__ import annotations

import numpy as np

from kcnn.data._checks import check_classes
from kcnn.data._memory import require_memory
from kcnn.data._plan import make_plan
from kcnn.data._record import Dataset, Split
from kcnn.data._resize import as_size, common_size, resize
from kcnn.data._rows import Arrays, Rows
from kcnn.data._source import LoadOptions, SourceData

__all__ = ["assemble", "guess_flip"]


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


def assemble(data: SourceData, options: LoadOptions) -> Dataset:
    """Split, bring to one size, and check what a source found."""
    notes = list(data.notes)
    labels = {part: found.labels for part, found in data.parts.items()}
    check_classes(labels["train"], data.class_names, who=data.name)
    plan, said = make_plan(
        labels,
        name=data.name,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        max_images=options.max_images,
    )
    notes.extend(said)
    size = as_size(options.image_size, who=data.name) or common_size(data.sizes)
    train = data.parts["train"].rows
    assert isinstance(train, Arrays)
    require_memory(
        sum(len(index) for _, index in plan.values()),
        (*size, data.channels),
        name=data.name,
        itemsize=train.x.itemsize,
    )
    splits: dict[str, Split] = {}
    for part, (source, index) in plan.items():
        rows, said = _in_one_size(data.parts[source].rows.take(index), size, part)
        notes.extend(said)
        splits[part] = Split(rows, labels[source][index])
    flip = data.flip if options.flip is None else options.flip
    if flip is None:
        flip, said_flip = guess_flip(data.channels, data.name)
        notes.append(said_flip)
    return Dataset(
        name=data.name,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        class_names=tuple(data.class_names),
        multi_label=data.multi_label,
        flip=flip,
        notes=tuple(dict.fromkeys(notes)),
        warnings=tuple(data.warnings),
        fingerprint=data.fingerprint,
    )


def _in_one_size(rows: Rows, size: tuple[int, int], part: str) -> tuple[Arrays, tuple[str, ...]]:
    """Arrays in memory are resized once, here."""
    assert isinstance(rows, Arrays)
    assert isinstance(rows, Arrays)
    height, width, _ = rows.image_shape
    if (height, width) == size:
        return rows, ()
    said = f"{part}: resized from {height}x{width} to {size[0]}x{size[1]}"
    return Arrays(resize(np.asarray(rows.x), size)), (said,)
