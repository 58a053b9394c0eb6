"""Version folders as TensorFlow Serving wants them: NAME/1, NAME/2, ..., each whole or absent."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["check_version", "folder_aside", "place"]


def check_version(model_folder: Path, version: int | None, *, overwrite: bool) -> None:
    """Refuse a version that must not be written, before any work is done for it.

    Raises ValueError for what is no version number, FileExistsError if the version is there and
    `overwrite` is false, or if what is there is no export of ours (replacing it would delete
    someone's files).
    """
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"export: version={version!r}; expected a whole number from 1 on.")
    path = model_folder / str(version)
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise FileExistsError(
            f"export: {path} exists. Leave version out for the next free number, or pass "
            "overwrite=True."
        )
    if path.is_symlink() or not path.is_dir():
        raise FileExistsError(f"export: {path} is not a folder; only folders are replaced.")
    if any(path.iterdir()) and not (path / "assets" / "class_names.txt").is_file():
        raise FileExistsError(
            f"export: {path} holds something else than an exported model (no "
            "assets/class_names.txt in it); it is left alone. Choose another version."
        )


@contextmanager
def folder_aside(model_folder: Path) -> Iterator[Path]:
    """Yield an empty folder within `model_folder`; whatever `place` did not rename goes after.

    So a block that raises (a full disk, Ctrl-C) leaves nothing behind.
    """
    made = [folder for folder in (model_folder, *model_folder.parents) if not folder.exists()]
    new = model_folder / f".new-{uuid.uuid4().hex[:8]}"
    new.mkdir(parents=True)  # not mkdtemp: its 0700 would lock out the server's user
    try:
        yield new
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # another export has put something in it
                folder.rmdir()
        raise


def place(new: Path, model_folder: Path, version: int | None, *, overwrite: bool) -> Path:
    """Rename `new` to its version, the next free number if None, and return that folder.

    Two exports at once get two numbers. A replaced folder is kept until the new one stands.
    """
    if version is not None and overwrite:
        return _replace(new, model_folder / str(version))
    while True:
        path = model_folder / str(version or _next_version(model_folder))
        try:
            os.rename(new, path)  # fails where a filled folder or a file stands
            return path
        except OSError:
            if not path.exists():
                raise
            if version is not None:
                raise FileExistsError(f"export: {path} appeared meanwhile; it is kept.") from None


def _replace(new: Path, path: Path) -> Path:
    old = path.with_name(f".old-{uuid.uuid4().hex[:8]}")
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        if old.exists():
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return path


def _next_version(model_folder: Path) -> int:
    taken = [int(entry.name) for entry in model_folder.iterdir() if entry.name.isdecimal()]
    return max(taken, default=0) + 1
