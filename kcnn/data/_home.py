"""The folder in which kcnn keeps what it would otherwise have to find out again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["cache_folder", "keep", "recall", "store_of"]


def cache_folder() -> Path:
    """`KCNN_CACHE`, else `kcnn` in the user's cache folder; it may be deleted at any time."""
    given = os.environ.get("KCNN_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kcnn"


def recall(store: Path, *names: str) -> list[np.ndarray] | None:
    """Arrays that `keep` put there; None where a file is absent or broken in any way."""
    try:
        with np.load(store, allow_pickle=False) as file:
            return [file[name] for name in names]
    except Exception:  # whatever NumPy says of such a file: what it held is found out again
        return None


def keep(store: Path, **arrays: Any) -> None:
    """For `recall`, which sees the old arrays or the new ones; OSError if they can't be kept."""
    store.parent.mkdir(parents=True, exist_ok=True)
    number, partial = tempfile.mkstemp(".part", dir=store.parent)
    try:
        with os.fdopen(number, "wb") as file:
            np.savez(file, **arrays)
        os.replace(partial, store)
    except OSError:
        os.unlink(partial)
        raise


def store_of(x: np.ndarray) -> Path | None:
    """For what is known of a mapped array: named after its place in the file, size and time."""
    root = x
    while isinstance(root.base, np.ndarray):
        root = root.base
    name = getattr(root, "filename", None)
    try:
        path = os.path.realpath(name)  # type: ignore[arg-type]
        state = os.stat(path)
    except (OSError, TypeError):  # in no file, or in one that is gone
        return None
    start = x.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    what = (path, state.st_size, state.st_mtime_ns, getattr(root, "offset", 0), start)
    text = repr((*what, x.shape, x.strides, x.dtype.str)).encode("utf-8", "surrogateescape")
    return cache_folder() / "arrays" / f"{hashlib.blake2b(text, digest_size=16).hexdigest()}.npz"
