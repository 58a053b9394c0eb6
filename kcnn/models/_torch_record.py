"""What PyTorch's pickles say of tensors: storages and views of them, each part of its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DTYPES", "Storage", "TensorRecord", "is_whole", "tensor_record"]

DTYPES = {
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
MOST_AXES = 32  # of a tensor


@dataclass(frozen=True)
class Storage:
    """Numbers in a row somewhere else in the file."""

    kind: str
    key: str
    length: int


@dataclass(frozen=True)
class TensorRecord:
    """A view of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def tensor_record(arguments: tuple[Any, ...]) -> TensorRecord:
    """The arguments of torch's `_rebuild_tensor_v2`, each of its type."""
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise ValueError("a tensor without a storage")
    storage, offset, size, stride = arguments[:4]
    for name, axes in (("size", size), ("stride", stride)):
        if not isinstance(axes, tuple) or len(axes) > MOST_AXES:
            raise ValueError(f"a tensor whose {name} is no tuple of at most {MOST_AXES} numbers")
    if len(size) != len(stride) or not all(map(is_whole, (offset, *size, *stride))):
        numbers = all(type(n) is int for n in (*size, *stride))
        seen = f"{size} with strides {stride}" if numbers else "that are no numbers"
        raise ValueError(f"a tensor of size {seen}"[:300])
    return TensorRecord(storage, offset, size, stride)
