"""Typed results from the JSON they were written as."""

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
    if kind is Any or (data is None and type(None) in arguments):
        return data
    if origin in (typing.Union, types.UnionType):
        return _read(next(a for a in arguments if a is not type(None)), data, where)
    record = dataclasses.is_dataclass(kind)
    wanted: Any = {tuple: list, float: (int, float)}.get(origin or kind, origin or kind)
    if record or origin in (dict, Mapping):
        wanted = dict
    if not isinstance(data, wanted) or (isinstance(data, bool) and kind is not bool):
        name = "an object" if wanted is dict else "a list" if wanted is list else kind.__name__
        raise ValueError(f"{where} should be {name} and is {type(data).__name__}")
    if record:
        return _record(kind, data, where)
    if origin is tuple:
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if wanted is dict:
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    return float(data) if kind is float else data


def _record(kind: Any, data: Mapping[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            values[field.name] = _read(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{where} has no {field.name!r}")
    return kind(**values)
