"""Typed results from the JSON they were written as."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["read_result"]

T = TypeVar("T")


def read_result(kind: type[T], data: Any) -> T:
    """The dataclass that `dataclasses.asdict` and JSON made of it.

    Raises:
        ValueError: a field is missing or of another type.
    """
    return _read(kind, data, kind.__name__)


def _read(kind: Any, data: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        return _read(next(a for a in arguments if a is not type(None)), data, where)
    if dataclasses.is_dataclass(kind):
        return _record(kind, data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong(where, "a list", data)
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    accepted = (int, float) if kind is float else kind
    if not isinstance(data, accepted) or (isinstance(data, bool) and kind is not bool):
        raise _wrong(where, kind.__name__, data)
    return float(data) if kind is float else data


def _record(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise _wrong(where, "an object", data)
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            values[field.name] = _read(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{where} has no {field.name!r}")
    return kind(**values)


def _wrong(where: str, wanted: str, data: Any) -> ValueError:
    return ValueError(f"{where} should be {wanted} and is {type(data).__name__}")
