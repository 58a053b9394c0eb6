"""From what a source found to a `Dataset`: splits, one size, checks, doubts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from kcnn.data import _doubts as doubts
from kcnn.data._cache import open_cache
from kcnn.data._checks import check_classes
from kcnn.data._manifest import shown
from kcnn.data._memory import require_memory
from kcnn.data._plan import Plan, make_plan
from kcnn.data._record import HELD, DataError, Dataset, DataWarning, Split, rarest_label
from kcnn.data._rows import Arrays, Rows, Stream
from kcnn.data._source import LoadOptions, Part, SourceData
from kcnn.preprocessing import Preprocessing

__all__ = ["assemble"]

_CHUNK = 1 << 24  # values resized at a time
LARGEST_GUESS = 224  # pixels: a size nobody asked for is not made larger than this
_FEW = 0.2  # share of images that are the same as another, up to which splits keep them together


def assemble(data: SourceData, options: LoadOptions) -> Dataset:
    """Split, bring to one size, and check what a source found."""
    notes = list(data.notes)
    labels = {part: rarest_label(found.labels) for part, found in data.parts.items()}
    check_classes(data.parts["train"].labels, data.class_names, who=data.name)
    groups, said = _together(data.parts)
    notes.extend(said)
    plan, said = make_plan(
        labels,
        name=data.name,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        max_images=options.max_images,
        groups=groups,
    )
    notes.extend(said)
    preprocessing, said = _preprocessing(data, options)
    notes.extend(said)
    splits: dict[str, Split] = {}
    ends = np.cumsum([len(found.labels) for found in data.parts.values()])
    firsts = dict(zip(data.parts, [0, *ends[:-1]], strict=True))
    _require_memory(data, plan, preprocessing)
    for split, (part, index) in plan.items():
        found = data.parts[part]
        if isinstance(found.rows, Stream):
            index = np.sort(index)  # a stream keeps its order
        rows = found.rows.take(index)
        if isinstance(rows, Stream):
            rows = replace(rows, keys=firsts[part] + index)
        splits[split] = Split(
            _in_one_size(rows, preprocessing),
            found.labels[index],
            preprocessing=preprocessing,
            classes=len(data.class_names),
            skip_bad=options.skip_bad,
        )
    notes.extend(_keep_decoded(splits.values(), data, preprocessing, options.cache))
    flip = data.flip if options.flip is None else options.flip
    if flip is None:
        flip, said_flip = _guess_flip(preprocessing.channels, data.name)
        notes.append(said_flip)
    return Dataset(
        name=data.name,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        class_names=tuple(data.class_names),
        preprocessing=preprocessing,
        multi_label=data.parts["train"].labels.ndim == 2,
        flip=flip,
        notes=tuple(dict.fromkeys(notes)),
        warnings=(*data.warnings, *_doubts(data, plan, splits)),
        fingerprint=data.fingerprint,
    )


def _together(parts: Mapping[str, Part]) -> tuple[dict[str, np.ndarray] | None, tuple[str, ...]]:
    """Which images no split may tear apart: those of a group, else those that are the same."""
    train = parts["train"]
    if train.groups is not None:
        number = len(np.unique(train.groups))
        return {"train": train.groups}, (f"{number} groups, none of them in two splits",)
    if train.hashes is None:
        return None, ()
    same = doubts.alike(train.hashes)
    twice = len(same) - int(same.max(initial=-1)) - 1
    if not 0 < twice <= _FEW * len(same):
        return None, ()  # where most are the same, they can't be kept together
    return {"train": same}, (f"{twice} images hold the same as another, and stay in its split",)


def _preprocessing(data: SourceData, options: LoadOptions) -> tuple[Preprocessing, tuple[str, ...]]:
    """The one that was asked for, else one that the images suggest; and what it does to them."""
    given = options.preprocessing
    if given is not None and (options.image_size is not None or options.resize is not None):
        raise DataError(
            f"{data.name}: preprocessing together with image_size or resize; say the size in one "
            "place, for instance preprocessing.replace(size=...)."
        )
    asked = options.image_size if given is None else given.size
    how = "asked for" if asked is not None else f"the median, at most {LARGEST_GUESS}"
    try:
        base = given or Preprocessing(channels=data.channels, resize=options.resize or "stretch")
        preprocessing = base.replace(size=_common_size(data.sizes) if asked is None else asked)
    except ValueError as error:
        raise DataError(f"{data.name}: {error}") from error
    size = preprocessing.size
    resized = int((data.sizes != np.array(size)).any(axis=1).sum())
    if resized == 0:
        return preprocessing, ()
    low, high = data.sizes.min(axis=0), data.sizes.max(axis=0)
    if (low == high).all():
        return preprocessing, (f"resized from {low[0]}x{low[1]} to {size[0]}x{size[1]}",)
    kept = "the aspect ratio is not kept" if preprocessing.resize == "stretch" else "aspect kept"
    return preprocessing, (
        f"{resized} of {len(data.sizes)} images of {low[0]}x{low[1]} to {high[0]}x{high[1]} "
        f"resized to {size[0]}x{size[1]} ({how}; {kept})",
    )


def _common_size(sizes: np.ndarray) -> tuple[int, int]:
    """One (height, width) for images of `sizes` (n, 2): theirs, or the median with its aspect."""
    if (sizes == sizes[0]).all():
        return int(sizes[0, 0]), int(sizes[0, 1])
    height, width = np.median(sizes, axis=0)
    shrink = min(1.0, LARGEST_GUESS / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _require_memory(data: SourceData, plan: Plan, preprocessing: Preprocessing) -> None:
    """DataError if arrays that lie in memory don't fit there once more."""
    rows = data.parts["train"].rows
    if isinstance(rows, Arrays) and rows.in_memory:
        images = sum(len(index) for _, index in plan.values())
        shape = (*preprocessing.size, preprocessing.channels)
        require_memory(images, shape, name=data.name, itemsize=rows.x.itemsize)


def _in_one_size(rows: Rows, preprocessing: Preprocessing) -> Rows:
    """Arrays in memory, or small enough for it, are resized here; all else when it is read."""
    if not isinstance(rows, Arrays):
        return rows
    same = rows.image_shape == preprocessing.image_shape
    if rows.in_memory and same:
        return rows
    shape = (len(rows), *preprocessing.size, preprocessing.channels)
    if not rows.in_memory and math.prod(shape) * rows.dtype.itemsize > HELD:
        return rows
    if same:
        return Arrays(rows.read(np.arange(len(rows))))
    out = np.empty(shape, rows.dtype)
    step = max(1, _CHUNK // int(np.prod(rows.image_shape)))
    for start in range(0, len(rows), step):
        numbers = np.arange(start, min(start + step, len(rows)))
        out[numbers] = np.asarray(preprocessing.resized(rows.read(numbers)))
    return Arrays(out)


def _keep_decoded(
    splits: Iterable[Split], data: SourceData, preprocessing: Preprocessing, kind: str | None
) -> tuple[str, ...]:
    """Give the splits whose images are decoded as they are needed a cache for what they decode."""
    lazy = [split for split in splits if not split.in_memory]
    rows = [split.rows for split in lazy if not isinstance(split.rows, Arrays)]
    if not rows:
        return ()
    cache, notes = open_cache(
        kind,
        np.concatenate([found.keys for found in rows]),
        preprocessing,
        fingerprint=data.fingerprint,
        name=data.name,
        dtype=rows[0].dtype,
    )
    for split in lazy:
        split.cache = cache
    return notes


def _doubts(data: SourceData, plan: Plan, splits: Mapping[str, Split]) -> tuple[DataWarning, ...]:
    """Identical images and groups in two splits, one image in two classes, very unequal classes."""
    found: list[DataWarning] = []
    for kind, what, advice in (
        ("hashes", "are the same as", "remove them from one of the two"),
        ("groups", "belong to a group of", "keep each group in one split"),
    ):
        columns = {part: getattr(found_part, kind) for part, found_part in data.parts.items()}
        if any(column is None for column in columns.values()):
            continue
        numbers = doubts.alike(np.concatenate(list(columns.values())))
        ends = np.cumsum([len(column) for column in columns.values()])
        of_part = dict(zip(columns, np.split(numbers, ends[:-1]), strict=True))
        known = {
            split: (of_part[part][index], partial(_name, part, data.parts[part], index))
            for split, (part, index) in plan.items()
        }
        found += doubts.leaks(known, what=what, advice=advice)
        if kind == "hashes" and splits["train"].labels.ndim == 1:
            every = np.concatenate([part.labels for part in data.parts.values()])
            found += doubts.contradictions(numbers, every, partial(_name_of_all, data.parts))
    train = splits["train"].labels
    counts = train.sum(axis=0) if train.ndim == 2 else np.bincount(train)
    return (*found, *doubts.imbalance(counts.astype(int), data.class_names))


def _name(part: str, found: Part, index: np.ndarray, number: int) -> str:
    """What messages call image `number` of those at `index`."""
    at = index[number]
    return f"{part} image {at}" if found.names is None else shown(found.names[at])


def _name_of_all(parts: Mapping[str, Part], number: int) -> str:
    for part, found in parts.items():
        if number < len(found.labels):
            return _name(part, found, np.arange(len(found.labels)), number)
        number -= len(found.labels)
    raise IndexError(number)


def _guess_flip(channels: int, what: str) -> tuple[bool, str]:
    """Whether mirroring likely keeps the class where only the images are known, and a note."""
    flip = channels >= 3
    kind = (
        "colour images, taken for photos" if flip else "not colour images, perhaps glyphs or scans"
    )
    return flip, (
        f"{what}: {kind}: a horizontal flip is assumed to {'keep' if flip else 'change'} the class "
        f"(flip={flip}); flip={not flip}, or {'--no-flip' if flip else '--flip'}, if that is wrong"
    )
