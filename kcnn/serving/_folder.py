"""A folder that appears whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that must not be written.

    Raises FileExistsError if something is there and `overwrite` is false, or if what is
    there is no SavedModel (overwriting it would delete someone's files).
    """
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise FileExistsError(
            f"export_saved_model: {path} exists. Choose another folder (TensorFlow Serving "
            "takes the highest number as the newest version) or pass overwrite=True."
        )
    if path.is_symlink() or not path.is_dir():
        raise FileExistsError(
            f"export_saved_model: {path} is not a folder; overwrite=True replaces folders only."
        )
    if any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise FileExistsError(
            f"export_saved_model: {path} holds something else than a SavedModel (no "
            "saved_model.pb in it); it is left alone. Choose another folder."
        )


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block succeeds.

    If the block raises (a full disk, Ctrl-C), the temporary folder goes and whatever stood
    at `path` is untouched. A previous folder is kept until the new one stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    new = path.with_name(f".{path.name}.{mark}.new")
    old = path.with_name(f".{path.name}.{mark}.old")
    new.mkdir()  # not mkdtemp: its 0700 would lock out the server's user
    try:
        yield new
        if path.exists():
            os.rename(path, old)
        try:
            os.rename(new, path)
        except BaseException:
            if old.exists():
                os.rename(old, path)
            raise
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
