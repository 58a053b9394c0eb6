"""Read the tensors of a PyTorch file with NumPy alone, and execute nothing in it.

Both formats of `torch.save`: the zip archive (since 1.6) and the older chain of pickles. Every
size that the file claims is compared with the file before anything of that size is made.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from kcnn.models._torch_pickle import DTYPES, Storage, TensorRecord, load_pickle

__all__ = ["read_torch"]

_MAGIC = 0x1950A86A20F9469CFC6C
_NESTED = ("state_dict", "model_state_dict", "model")
# Bytes of all tensors over bytes of the file: above 1 where tensors share a storage (tied weights).
MOST_SHARING = 8

_Fetch = Callable[[Storage], bytes]
_Order = Literal["little", "big"]

# What a damaged or hostile file makes zipfile and the arithmetic below raise.
_BROKEN = (zipfile.BadZipFile, EOFError, RuntimeError)  # the last of an encrypted archive
_DAMAGE = (*_BROKEN, ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Name to array for every tensor of the state dict in `path`, strides honoured.

    A state dict may stand under "state_dict", "model_state_dict" or "model".
    bfloat16 comes as float32. Time and memory stay in proportion to the size of the file.

    Raises:
        ValueError: not a PyTorch file, damaged, without tensors, asking for anything but tensors
            in dictionaries (which is refused, never executed), or claiming more than it holds.
    """
    try:
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            if zipfile.is_zipfile(file):
                found, fetch, order = _open_zip(file, length)
            else:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                found, fetch, order = _open_chain(data, length)
            state = _state_dict(found)
            _check_total(state, length)
            return {name: _resolve(tensor, fetch, order) for name, tensor in state.items()}
    except _DAMAGE as error:
        text = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a PyTorch file: {text}.") from None


def _open_zip(file: BinaryIO, length: int) -> tuple[Any, _Fetch, _Order]:
    archive = zipfile.ZipFile(file)
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise ValueError("it is compressed, which torch.save's files are not; unpack and save it")
    if sum(max(e.file_size, e.compress_size) for e in archive.infolist()) > length:
        raise ValueError(f"the archive claims more than the {length} bytes it has")
    pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError("the archive holds no data.pkl")
    root = pickles[0][: -len("data.pkl")]
    order: _Order = "little"
    if f"{root}byteorder" in entries:
        order = archive.read(f"{root}byteorder").decode().strip()  # type: ignore[assignment]
        if order not in ("little", "big"):
            raise ValueError("its byte order is neither little nor big")
    found = load_pickle(io.BytesIO(archive.read(pickles[0])))
    cache: dict[str, bytes] = {}

    def fetch(storage: Storage) -> bytes:
        if storage.key not in cache:
            name = f"{root}data/{storage.key}"
            if name not in entries:
                raise ValueError(f"there is no storage {storage.key[:80]!r}")
            cache[storage.key] = archive.read(name)
        return cache[storage.key]

    return found, fetch, order


def _open_chain(file: mmap.mmap, length: int) -> tuple[Any, _Fetch, _Order]:
    if load_pickle(file) != _MAGIC:
        raise ValueError("it does not begin as torch.save's files do")
    load_pickle(file)  # the protocol's version
    system = load_pickle(file)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    order: _Order = "little" if little else "big"
    storages: dict[str, Storage] = {}
    found, keys = load_pickle(file, storages), load_pickle(file)
    data: dict[str, bytes] = {}
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise ValueError("it has a storage that nothing refers to")
        count = int.from_bytes(file.read(8), order)
        if count != storage.length:
            raise ValueError(f"storage {key[:80]} has {count} numbers instead of {storage.length}")
        size = count * np.dtype(DTYPES[storage.kind]).itemsize
        if size > length - file.tell():
            raise ValueError(f"storage {key[:80]} claims more bytes than the file has")
        data[key] = file.read(size)
    return found, lambda storage: data[storage.key], order


def _state_dict(found: Any) -> Mapping[str, TensorRecord]:
    """The tensors by name: of the dictionary itself or of the state dict in it."""
    for key in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    tensors = {}
    if isinstance(found, dict):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, TensorRecord)}
    if not tensors:
        raise ValueError("there are no named tensors in it")
    return tensors


def _check_total(state: Mapping[str, TensorRecord], length: int) -> None:
    total = sum(
        math.prod(tensor.size) * np.dtype(DTYPES[tensor.storage.kind]).itemsize
        for tensor in state.values()
    )
    if total > MOST_SHARING * length:
        raise ValueError(
            f"its tensors would take {total} bytes, the file has {length}; tensors that share "
            f"their numbers may take {MOST_SHARING} times the file"
        )


def _resolve(tensor: TensorRecord, fetch: _Fetch, order: _Order) -> np.ndarray:
    storage, sizes = tensor.storage, tensor.size
    dtype = np.dtype(DTYPES[storage.kind]).newbyteorder("<" if order == "little" else ">")
    flat = np.frombuffer(fetch(storage), dtype)
    # Along an axis of one number a stride means nothing and may be anything.
    strides = [s if n > 1 else 0 for n, s in zip(sizes, tensor.stride, strict=True)]
    last = tensor.offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    if math.prod(sizes) and last >= len(flat):
        raise ValueError(f"a tensor of size {sizes} reaches past the end of its storage"[:300])
    if math.prod(sizes) > max(len(flat), 1):
        raise ValueError(f"a tensor of size {sizes} repeats a storage of {len(flat)} numbers"[:300])
    view = np.lib.stride_tricks.as_strided(
        flat[tensor.offset :] if math.prod(sizes) else flat[:0],
        sizes,
        [s * dtype.itemsize for s in strides],
        writeable=False,
    )
    array = view.astype(dtype.newbyteorder("<" if sys.byteorder == "little" else ">"))
    if storage.kind == "BFloat16Storage":
        return (array.astype("u4") << 16).view("f4")
    return np.ascontiguousarray(array).reshape(sizes)
