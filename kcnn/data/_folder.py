"""A folder of images: one sub-folder per class, or train/, val/ and test/ folders of such."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._assemble import guess_flip
from kcnn.data._checks import check_classes
from kcnn.data._images import SUFFIXES, Header, read_header, read_image
from kcnn.data._memory import require_memory
from kcnn.data._plan import make_plan
from kcnn.data._record import DataError, Dataset, Split
from kcnn.data._resize import as_size, common_size
from kcnn.data._source import LoadOptions, as_path, register_source

__all__ = ["load_folder"]

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_THREADS = min(8, os.cpu_count() or 1)


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _find_parts(path: Path) -> dict[str, Path]:
    """The folders that hold class folders: train, val and test, or the folder itself."""
    folders = _folders(path)
    if not folders:
        loose = sum(entry.suffix.lower() in SUFFIXES for entry in path.iterdir())
        seen = f"{loose} images but no folder" if loose else "no folder"
        raise DataError(f"{path}: holds {seen}; expected one sub-folder per class with its images.")
    kinds = [_PARTS.get(folder.name.lower()) for folder in folders]
    if "train" not in kinds or None in kinds or not any(_folders(folder) for folder in folders):
        return {"train": path}
    if len(set(kinds)) < len(kinds):
        names = ", ".join(folder.name for folder in folders)
        raise DataError(f"{path}: folders {names} name the same part twice; keep one of them.")
    return {str(kind): folder for kind, folder in zip(kinds, folders, strict=True)}


def _images_below(folder: Path, skipped: Counter[str]) -> list[Path]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(files):
            if _hidden(name):
                skipped["hidden"] += 1
            elif Path(name).suffix.lower() not in SUFFIXES:
                skipped["not images"] += 1
            else:
                found.append(Path(root, name))
    return found


def _scan(path: Path) -> tuple[dict[str, list[Path]], dict[str, np.ndarray], list[str], list[str]]:
    """Files and labels of each part, class names, and notes."""
    parts = _find_parts(path)
    class_names = [folder.name for folder in _folders(parts["train"])]
    files: dict[str, list[Path]] = {}
    labels: dict[str, np.ndarray] = {}
    skipped: Counter[str] = Counter()
    for part, top in parts.items():
        files[part], numbers = [], []
        for folder in _folders(top):
            if folder.name not in class_names:
                raise DataError(
                    f"{folder}: class {folder.name!r} is not among the training classes "
                    f"{', '.join(class_names[:5])}{', ...' if len(class_names) > 5 else ''}."
                )
            below = _images_below(folder, skipped)
            files[part] += below
            numbers += [class_names.index(folder.name)] * len(below)
        labels[part] = np.array(numbers, np.int64)
        skipped["outside the class folders"] += sum(not entry.is_dir() for entry in top.iterdir())
        if part != "train" and not files[part]:
            raise DataError(f"{top}: holds no image in any class folder; fill or remove it.")
    if not files["train"]:
        raise DataError(
            f"{path}: no image in its {len(class_names)} class folders (looked for "
            f"{' '.join(sorted(SUFFIXES))})."
        )
    left_out = [f"{count} {why}" for why, count in skipped.items() if count]
    notes = [f"files skipped: {', '.join(left_out)}"] if left_out else []
    return files, labels, class_names, notes


def load_folder(source: Any, options: LoadOptions) -> Dataset:
    """See `kcnn.data.load`. Only the files that are used are opened."""
    path, image_size, flip = Path(source).expanduser(), options.image_size, options.flip
    name = path.resolve().name
    files, labels, class_names, notes = _scan(path)
    check_classes(labels["train"], class_names, who=str(path))
    plan, said = make_plan(
        labels,
        name=name,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        max_images=options.max_images,
    )
    notes.extend(said)
    chosen = {
        part: [files[source][number] for number in index] for part, (source, index) in plan.items()
    }
    pool = ThreadPoolExecutor(_THREADS)
    try:
        everything = [file for part in chosen.values() for file in part]
        headers: list[Header] = list(pool.map(read_header, everything))
        channels = 3 if any(colour for _, _, colour in headers) else 1
        sizes = np.array([header[:2] for header in headers])
        size = as_size(image_size, who=name) or common_size(sizes)
        resized = int((sizes != np.array(size)).any(axis=1).sum())
        if resized:
            low, high = sizes.min(axis=0), sizes.max(axis=0)
            how = "asked for" if image_size is not None else "the median, at most 224"
            notes.append(
                f"{resized} of {len(sizes)} images of {low[0]}x{low[1]} to {high[0]}x{high[1]} "
                f"resized to {size[0]}x{size[1]} ({how}; the aspect ratio is not kept)"
            )
        gray = sum(not colour for _, _, colour in headers)
        if channels == 3 and gray:
            notes.append(f"{gray} of {len(sizes)} images have no colour: read as RGB")
        require_memory(len(sizes), (*size, channels), name=name)
        splits, remarks = {}, Counter[str]()
        for part, part_files in chosen.items():
            x = np.empty((len(part_files), *size, channels), np.uint8)
            read = pool.map(lambda file: read_image(file, size, channels), part_files)
            for number, (pixels, remarked) in enumerate(read):
                x[number] = pixels
                remarks.update(remarked)
            source, index = plan[part]
            splits[part] = Split(x, labels[source][index])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    total = sum(len(split) for split in splits.values())
    notes += [f"{remark}: {count} of {total} images" for remark, count in sorted(remarks.items())]
    if flip is None:
        flip, said_flip = guess_flip(channels, name)
        notes.append(said_flip)
    return Dataset(
        name=name,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        class_names=tuple(class_names),
        flip=flip,
        notes=tuple(notes),
    )


def _matches(source: Any) -> bool:
    path = as_path(source)
    return path is not None and path.is_dir()


register_source("folder", matches=_matches, load=load_folder)
