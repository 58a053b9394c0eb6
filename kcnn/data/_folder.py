"""A folder of images: one sub-folder per class, or train/, val/ and test/ folders of such."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._files import Listed, find_files
from kcnn.data._manifest import shown
from kcnn.data._record import DataError
from kcnn.data._source import LoadOptions, SourceData, as_path, register_source
from kcnn.data._walk import SUFFIXES, Walk

__all__ = ["PARTS", "load_folder"]

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def load_folder(source: Any, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`."""
    root = os.fsencode(Path(source).expanduser())
    walk = Walk(root, options.skip_bad)
    parts = _find_parts(walk)
    class_names = [_class_name(root, name) for name in walk.folders(parts["train"])]
    _refuse_case_twins(root, class_names)
    listed = {}
    for part, top in parts.items():
        listed[part] = _listed(walk, top, class_names)
        walk.skipped["outside the class folders"] += len(walk.loose(top))
        if part != "train" and not len(listed[part].paths):
            where = shown(os.path.join(root, top))
            raise DataError(f"{where}: holds no image in any class folder; fill or remove it.")
    if not len(listed["train"].paths):
        raise DataError(
            f"{shown(root)}: no image in its {len(class_names)} class folders (looked for "
            f"{b' '.join(sorted(SUFFIXES)).decode()})."
        )
    if options.group is not None:
        listed = {part: _grouped(files, options.group) for part, files in listed.items()}
    left_out = [f"{count} {why}" for why, count in walk.skipped.items() if count]
    notes = [f"files skipped: {', '.join(left_out)}"] if left_out else []
    notes += _case_twins(listed)
    name = shown(os.path.basename(os.path.realpath(root)))
    return find_files(
        root, listed, class_names, options, name=name, key=root, bad=walk.bad, notes=notes
    )


def _find_parts(walk: Walk) -> dict[str, bytes]:
    """The folders that hold class folders: train, val and test, or the folder itself."""
    folders = walk.folders()
    if not folders:
        loose = sum(os.path.splitext(name)[1].lower() in SUFFIXES for name in walk.loose())
        seen = f"{loose} images but no folder" if loose else "no folder"
        raise DataError(
            f"{shown(walk.root)}: holds {seen}; expected one sub-folder per class with its images."
        )
    kinds = [PARTS.get(shown(folder).lower()) for folder in folders]
    if "train" not in kinds or None in kinds or not any(walk.folders(top) for top in folders):
        return {"train": b""}
    if len(set(kinds)) < len(kinds):
        names = ", ".join(shown(folder) for folder in folders)
        raise DataError(
            f"{shown(walk.root)}: folders {names} name the same part twice; keep one of them."
        )
    return {str(kind): folder for kind, folder in zip(kinds, folders, strict=True)}


def _class_name(root: bytes, folder: bytes) -> str:
    name = shown(folder)
    if os.fsencode(name) != folder:
        raise DataError(
            f"{shown(root)}: the class folder {name} has a name that is not plain text; rename it."
        )
    return name


def _refuse_case_twins(root: bytes, class_names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in class_names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(
                f"{shown(root)}: class folders {other!r} and {name!r} differ by case only; merge "
                "or rename one of them."
            )


def _listed(walk: Walk, top: bytes, class_names: list[str]) -> Listed:
    found = []
    folders = walk.folders(top)
    for folder in folders:
        name = shown(folder)
        if name not in class_names:
            raise DataError(
                f"{shown(os.path.join(walk.root, top, folder))}: class {name!r} is not among the "
                f"training classes {', '.join(class_names[:5])}"
                f"{', ...' if len(class_names) > 5 else ''}."
            )
        found.append(np.array(walk.images(os.path.join(top, folder)), bytes))
    labels = [class_names.index(shown(folder)) for folder in folders]
    return Listed(np.concatenate(found), np.repeat(labels, [len(paths) for paths in found]))


def _case_twins(listed: dict[str, Listed]) -> list[str]:
    """A note where names differ by case only: such files collide on other systems."""
    paths = np.concatenate([files.paths for files in listed.values()])
    small = np.char.lower(paths)
    order = np.argsort(small, kind="stable")
    twins = np.flatnonzero(small[order][1:] == small[order][:-1])
    if not len(twins):
        return []
    first = " and ".join(shown(path) for path in paths[order[twins[0] : twins[0] + 2]])
    more = ", ..." if len(twins) > 1 else ""
    return [f"{len(twins)} files differ from another by case only and are used: {first}{more}"]


def _grouped(files: Listed, pattern: str) -> Listed:
    """The group of each file: what the one group of the regular expression finds in its path."""
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise DataError(f"group={pattern!r}: no regular expression ({error}).") from error
    if finder.groups != 1:
        raise DataError(
            f"group={pattern!r} has {finder.groups} groups; a folder needs a regular expression on "
            r"the path with one group, for instance group=r'(patient\d+)_'."
        )
    names = []
    for path in files.paths:
        match = finder.search(os.fsdecode(path))
        if match is None:
            raise DataError(f"group={pattern!r} finds nothing in the path {shown(path)}.")
        names.append(os.fsencode(match[1] or ""))
    return Listed(files.paths, files.labels, np.array(names))


def _matches(source: Any) -> bool:
    path = as_path(source)
    return path is not None and path.is_dir()


register_source("folder", matches=_matches, load=load_folder)
