"""Read the tensors of a PyTorch file with NumPy alone, and execute nothing in it.

Both formats of `torch.save`: the zip archive (since 1.6) and the older chain of pickles.
"""

import collections
import io
import math
import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["read_torch"]

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # widened to float32 when read
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_NESTED = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    length: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Rebuild:
    """Stands for torch's rebuild functions; no attributes, so a pickle cannot change it."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


class _RebuildParameter:
    __slots__ = ()

    def __call__(self, data: Any, *rest: Any) -> Any:
        return data


class _Unpickler(pickle.Unpickler):
    """Knows ordered dicts, storages and tensor rebuilds; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _DTYPES:
            return name
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _Rebuild()
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _RebuildParameter()
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}; only tensors in dictionaries are read, nothing is run"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, length = pid[:5]
        if kind != "storage" or dtype not in _DTYPES or (len(pid) > 5 and pid[5] is not None):
            raise pickle.UnpicklingError(f"it refers to {pid!r}, which is no tensor's storage")
        return _Storage(dtype, str(key), int(length))


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Name to array for every tensor of the state dict in `path`, strides honoured.

    A state dict may stand under "state_dict", "model_state_dict" or "model".
    bfloat16 comes as float32.

    Raises:
        ValueError: not a PyTorch file, damaged, without tensors, or asking for anything
            but tensors in dictionaries (which is refused, never executed).
    """
    try:
        with open(path, "rb") as file:
            if zipfile.is_zipfile(file):
                found, fetch, order = _open_zip(file)
            else:
                file.seek(0)
                found, fetch, order = _open_chain(file)
            state = _state_dict(found)
            return {name: _resolve(tensor, fetch, order) for name, tensor in state.items()}
    except _DAMAGE as error:
        text = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a PyTorch file: {text}.") from None


# What a damaged or hostile file makes pickle, zipfile and the arithmetic below raise.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    UnicodeDecodeError,
    ValueError,
)


def _open_zip(file: BinaryIO) -> tuple[Any, Callable[[_Storage], bytes], str]:
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError("the archive holds no data.pkl")
    root = pickles[0][: -len("data.pkl")]
    order = "little"
    if f"{root}byteorder" in archive.namelist():
        order = archive.read(f"{root}byteorder").decode().strip()
    found = _Unpickler(io.BytesIO(archive.read(pickles[0]))).load()
    cache: dict[str, bytes] = {}

    def fetch(storage: _Storage) -> bytes:
        if storage.key not in cache:
            cache[storage.key] = archive.read(f"{root}data/{storage.key}")
        return cache[storage.key]

    return found, fetch, order


def _open_chain(file: BinaryIO) -> tuple[Any, Callable[[_Storage], bytes], str]:
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("it does not begin as torch.save's files do")
    _Unpickler(file).load()  # the protocol's version
    system = _Unpickler(file).load()
    order = "little" if system.get("little_endian", True) else "big"
    unpickler = _Recorder(file)
    found = unpickler.load()
    data: dict[str, bytes] = {}
    for key in _Unpickler(file).load():
        storage = unpickler.seen[str(key)]
        length = int.from_bytes(file.read(8), order)  # type: ignore[arg-type]
        if length != storage.length:
            raise ValueError(f"storage {key} has {length} numbers instead of {storage.length}")
        data[str(key)] = file.read(length * np.dtype(_DTYPES[storage.kind]).itemsize)
    return found, lambda storage: data[storage.key], order


class _Recorder(_Unpickler):
    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.seen: dict[str, _Storage] = {}

    def persistent_load(self, pid: Any) -> _Storage:
        storage = super().persistent_load(pid)
        return self.seen.setdefault(storage.key, storage)


def _state_dict(found: Any) -> Mapping[str, _Tensor]:
    for key in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    tensors = {}
    if isinstance(found, dict):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, _Tensor)}
    if not tensors:
        raise ValueError("there are no named tensors in it")
    return tensors


def _resolve(tensor: _Tensor, fetch: Callable[[_Storage], bytes], order: str) -> np.ndarray:
    storage = tensor.storage
    dtype = np.dtype(_DTYPES[storage.kind]).newbyteorder("<" if order == "little" else ">")
    flat = np.frombuffer(fetch(storage), dtype)
    sizes, strides = tensor.size, tensor.stride
    if len(sizes) != len(strides) or min((*sizes, *strides, tensor.offset), default=0) < 0:
        raise ValueError(f"a tensor of size {sizes} with strides {strides}")
    last = tensor.offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    if math.prod(sizes) and last >= len(flat):
        raise ValueError(f"a tensor of size {sizes} reaches past the end of its storage")
    if math.prod(sizes) > max(len(flat), 1):
        raise ValueError(f"a tensor of size {sizes} repeats a storage of {len(flat)} numbers")
    view = np.lib.stride_tricks.as_strided(
        flat[tensor.offset :] if math.prod(sizes) else flat[:0],
        sizes,
        [s * dtype.itemsize for s in strides],
        writeable=False,
    )
    array = view.astype(dtype.newbyteorder(sys.byteorder[0].replace("b", ">").replace("l", "<")))
    if storage.kind == "BFloat16Storage":
        return (array.astype("u4") << 16).view("f4")
    return np.ascontiguousarray(array).reshape(sizes)
