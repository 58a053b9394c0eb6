"""Files that are there whole or not at all, also after a kill, a full disk or a power cut."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

__all__ = ["jsonable", "read_arrays", "read_json", "replace", "write_arrays", "write_json"]


def replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file aside, bring it to the disk and rename it; on an error the old one stays."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON in one move; NaN and infinity become null."""
    text = json.dumps(jsonable(value), indent=1, allow_nan=False) + "\n"
    replace(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """The value, or None where there is no file; ValueError where it is damaged."""
    if not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file in one move."""
    replace(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by name."""
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def jsonable(value: Any) -> Any:
    """The value in plain JSON types; numbers that JSON can't hold become None."""
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system lets folders be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems can't; the rename itself has happened
    finally:
        os.close(handle)
