"""The folder in which kcnn keeps what it would otherwise have to find out again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["cache_folder", "keep", "recall"]


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
    with tempfile.NamedTemporaryFile(dir=store.parent, suffix=".part", delete=False) as file:
        try:
            np.savez(file, **arrays)
            os.replace(file.name, store)
        except OSError:
            os.unlink(file.name)
            raise
