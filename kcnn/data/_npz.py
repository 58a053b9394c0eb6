"""A .npz file, or a folder of .npy files: arrays x, y and perhaps x_test, y_test, class_names."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._arrays import look_at_arrays
from kcnn.data._manifest import shown
from kcnn.data._memory import require_memory
from kcnn.data._record import DataError
from kcnn.data._source import LoadOptions, SourceData, as_path, register_source

__all__ = ["load_npy", "load_npz"]

_KNOWN = ("x", "y", "x_test", "y_test", "class_names")
_DEFLATE = 1032  # the most that zip's method can shrink anything by


def load_npz(path: Path, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`. Members that are not compressed are mapped, not read."""
    name = shown(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            arrays = {key: _member(path, archive, infos[key]) for key in _KNOWN if key in infos}
    except DataError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{name}: not a readable .npz file ({error}).") from error
    return _look_at(arrays, sorted(infos), shown(path.name), name, options)


def load_npy(path: Path, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`: a folder of .npy files, or the x.npy in it; all are mapped."""
    folder = path if path.is_dir() else path.parent
    name = shown(str(folder))
    if path.is_file() and path.name != "x.npy":
        raise DataError(
            f"{shown(str(path))}: an array alone; put the images into x.npy and the labels into "
            "y.npy of one folder, and give the folder."
        )
    files = {file.stem: file for file in sorted(folder.glob("*.npy"))}
    arrays = {}
    for key in _KNOWN:
        if key in files:
            try:
                with files[key].open("rb") as file:
                    room = os.fstat(file.fileno()).st_size
                    arrays[key] = _mapped(files[key], *_claimed(file, room, key, name), file.tell())
            except OSError as error:
                raise DataError(f"{name}: {key}.npy is not readable ({error}).") from error
    return _look_at(arrays, sorted(files), shown(folder.resolve().name), name, options)


def _look_at(
    arrays: dict[str, Any], found: list[str], called: str, name: str, options: LoadOptions
) -> SourceData:
    if "x" not in arrays or "y" not in arrays:
        raise DataError(
            f"{name}: needs arrays x and y (and may have x_test, y_test, class_names); found "
            f"{', '.join(map(shown, found)) or 'none'}."
        )
    if options.class_names is not None:
        arrays["class_names"] = options.class_names
    return look_at_arrays(arrays.pop("x"), arrays.pop("y"), name=called, **arrays)


def _claimed(file: Any, room: int, key: str, name: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape, dtype and order in the header of an array that has `room` bytes with its header."""
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise DataError(f"{name}: {key} is broken ({shown(str(error))}).") from error
    if dtype.hasobject:
        raise DataError(
            f"{name}: {key} holds Python objects, which are never unpickled; give plain arrays."
        )
    need = math.prod(shape) * dtype.itemsize
    if need > room:
        raise DataError(
            f"{name}: {key} claims {'x'.join(map(str, shape))} {dtype} ({need / 2**20:.1f} MiB), "
            f"but the file holds {room / 2**20:.1f} MiB of it: truncated or forged; make it anew."
        )
    return shape, dtype, fortran


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an archive, mapped where it is stored as it is."""
    name, key = shown(str(path)), info.filename.removesuffix(".npy")
    size = os.stat(path).st_size
    packed = info.compress_type != zipfile.ZIP_STORED
    room = min(info.file_size, info.compress_size * _DEFLATE, size * _DEFLATE if packed else size)
    with archive.open(info) as file:
        shape, dtype, fortran = _claimed(file, room, key, name)
        if packed:
            if shape:
                require_memory(shape[0], shape[1:], name=name, itemsize=dtype.itemsize)
            data = file.read(math.prod(shape) * dtype.itemsize)
            if len(data) < math.prod(shape) * dtype.itemsize:
                raise DataError(f"{name}: {key} is truncated; make the file anew.")
            array = np.frombuffer(data, dtype)
            return array.reshape(shape, order="F" if fortran else "C")
        header = file.tell()
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")  # of the name and of what else is told
    start = info.header_offset + 30 + int(lengths.sum()) + header
    return _mapped(path, shape, dtype, fortran, start)


def _mapped(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, fortran: bool, start: int
) -> np.ndarray:
    order: Any = "F" if fortran else "C"
    if math.prod(shape) == 0:
        return np.zeros(shape, dtype)
    if start + math.prod(shape) * dtype.itemsize > os.stat(path).st_size:
        raise DataError(f"{shown(str(path))}: truncated; make the file anew.")
    return np.memmap(path, dtype, "r", start, shape, order)


def _is_npz(source: Any) -> bool:
    path = as_path(source)
    return path is not None and path.suffix == ".npz" and path.is_file()


def _is_npy(source: Any) -> bool:
    path = as_path(source)
    if path is None:
        return False
    if path.is_dir():
        return (path / "x.npy").is_file() and (path / "y.npy").is_file()
    return path.suffix == ".npy" and path.is_file()


register_source(
    "npz", matches=_is_npz, load=lambda given, options: load_npz(Path(given).expanduser(), options)
)
register_source(
    "npy", matches=_is_npy, load=lambda given, options: load_npy(Path(given).expanduser(), options)
)
