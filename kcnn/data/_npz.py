"""A .npz file of arrays x, y and, if it has them, x_test, y_test and class_names."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._arrays import look_at_arrays
from kcnn.data._memory import require_memory
from kcnn.data._record import DataError
from kcnn.data._source import SourceData, as_path, register_source

__all__ = ["load_npz"]

_KNOWN = ("x", "y", "x_test", "y_test", "class_names")


def _require_room(path: Path) -> None:
    """Read the headers alone: a small file may unpack to more than fits."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member not in ("x.npy", "x_test.npy"):
                continue
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                if version == (1, 0):
                    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                else:
                    shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            if shape:
                require_memory(shape[0], shape[1:], name=path.name, itemsize=dtype.itemsize)


def load_npz(path: Path) -> SourceData:
    """See `kcnn.data.load`. Nothing is unpickled: an object array is a DataError."""
    try:
        _require_room(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {}
            for key in _KNOWN:
                if key in file.files:
                    arrays[key] = file[key]
            found = list(file.files)
    except DataError:
        raise
    except ValueError as error:
        what = (
            "holds Python objects, which are never unpickled"
            if "pickle" in str(error)
            else "is broken"
        )
        raise DataError(f"{path}: the file {what} ({error}); give plain number arrays.") from error
    except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz file ({error}).") from error
    if "x" not in arrays or "y" not in arrays:
        raise DataError(
            f"{path}: needs arrays x and y (and may have x_test, y_test, class_names); found "
            f"{', '.join(found) or 'none'}."
        )
    return look_at_arrays(arrays.pop("x"), arrays.pop("y"), name=path.name, **arrays)


def _matches(source: Any) -> bool:
    path = as_path(source)
    return path is not None and path.suffix == ".npz" and path.is_file()


register_source("npz", matches=_matches, load=lambda source, _: load_npz(Path(source).expanduser()))
