"""What a look through a memory-mapped array found is kept, so that no start hashes it again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from kcnn.data._home import cache_folder

__all__ = ["keep", "recall"]

Found = tuple[float, float, np.ndarray]  # lowest and highest pixel, a hash of each image


def recall(x: np.ndarray) -> Found | None:
    """What `keep` was told of the same place in the same file, unless the file has changed."""
    store = _store(x)
    try:
        with np.load(store, allow_pickle=False) as file:  # type: ignore[arg-type]
            low, high = file["limits"].tolist()
            return (low, high, file["hashes"]) if len(file["hashes"]) == len(x) else None
    except Exception:  # nothing kept, or a file of ours that is broken in any way: look again
        return None


def keep(x: np.ndarray, found: Found) -> None:
    """Nothing is said where it can't be kept: the next start takes as long as this one."""
    store = _store(x)
    if store is None:
        return
    partial = store.with_name(f"{store.stem}.{os.getpid()}.npz")
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, limits=np.array(found[:2]), hashes=found[2])
        os.replace(partial, store)


def _store(x: np.ndarray) -> Path | None:
    """Named after file, size, time of change and what of the file the array is."""
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
