"""JSON values to arrays and back, as TensorFlow Serving's REST API maps them."""

from __future__ import annotations

import base64
import binascii
import json
from itertools import chain
from typing import Any

import numpy as np
import orjson

from kcnn_server.errors import BadRequest
from kcnn_server.runtime import Signature, Tensor

__all__ = ["array_of", "column_reply", "instances_to_arrays", "parse", "row_reply", "to_json"]

FLOAT32_WHOLE = 2**24  # beyond it float32 skips whole numbers
MOST_DIMENSIONS = 32  # every NumPy takes so many
FLOAT32_MAX = float(np.finfo(np.float32).max)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; NaN and Infinity are numbers, as in TensorFlow Serving."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise BadRequest(f"JSON Parse error: {error}") from error
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as second:
            raise BadRequest(f"JSON Parse error: {second}") from second
    if not isinstance(value, dict):
        raise BadRequest("JSON Parse error: the request must be a JSON object.")
    return value


def instances_to_arrays(instances: Any, signature: Signature) -> list[np.ndarray]:
    """Row format: a list of values, or of objects with one value per input."""
    if not isinstance(instances, list) or not instances:
        raise BadRequest("'instances' must be a list of at least one value.")
    inputs = signature.inputs
    first = instances[0]
    if not isinstance(first, dict) or is_b64(first):
        if len(inputs) != 1:
            listed = ", ".join(t.name for t in inputs)
            raise BadRequest(f"Each instance must be an object with the inputs {listed}.")
        return [array_of(instances, inputs[0])]
    names = {t.name for t in inputs}
    for item in instances:
        if not isinstance(item, dict) or item.keys() != names:
            got = sorted(item) if isinstance(item, dict) else type(item).__name__
            raise BadRequest(
                f"Each instance must be an object with the keys {sorted(names)}; got {got}."
            )
    return [array_of([item[t.name] for item in instances], t) for t in inputs]


def inputs_to_arrays(inputs: Any, signature: Signature) -> list[np.ndarray]:
    """Column format: the value of the only input, or an object with one value per input."""
    if not isinstance(inputs, dict) or is_b64(inputs):
        if len(signature.inputs) != 1:
            listed = ", ".join(t.name for t in signature.inputs)
            raise BadRequest(f"'inputs' must be an object with the keys {listed}.")
        inputs = {signature.inputs[0].name: inputs}
    names = {t.name for t in signature.inputs}
    if inputs.keys() != names:
        raise BadRequest(f"'inputs' must have the keys {sorted(names)}; got {sorted(inputs)}.")
    return [array_of(inputs[t.name], t) for t in signature.inputs]


def array_of(value: Any, tensor: Tensor) -> np.ndarray:
    """The array for one input; BadRequest where type or shape do not fit."""
    if tensor.dtype == object:
        array = _strings(value, tensor)
    else:
        array = _numbers(value, tensor)
    if tensor.shape is not None and not _fits(array.shape, tensor.shape):
        wanted = [-1 if n is None else n for n in tensor.shape]
        raise BadRequest(f"Input {tensor.name!r} has shape {list(array.shape)}, expected {wanted}.")
    return array


def _fits(got: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(got) == len(wanted) and all(
        want in (None, size) for size, want in zip(got, wanted, strict=True)
    )


def _numbers(value: Any, tensor: Tensor) -> np.ndarray:
    dtype = tensor.dtype
    try:
        array = _array(value)
    except (ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(
            f"Input {tensor.name!r} is no array of numbers: lists of unequal length or too deep."
        ) from error
    kind = array.dtype.kind
    fits = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "c": ""}[dtype.kind]
    if kind not in fits or not array.size:
        got = "nothing" if not array.size else _KINDS.get(kind, "mixed values")
        raise BadRequest(_type_message(tensor, got))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise BadRequest(f"Input {tensor.name!r} has values out of {limits.min}..{limits.max}.")
    elif dtype == np.float32:
        # not abs(): the least int64 has none
        with np.errstate(invalid="ignore"):
            low, high = array.min(), array.max()
            largest = FLOAT32_WHOLE if kind in "iu" else FLOAT32_MAX
            if (low < -largest and low != -np.inf) or (high > largest and high != np.inf):
                raise BadRequest(
                    f"Input {tensor.name!r}: cannot convert {low if low < -largest else high} to "
                    "float without loss of precision."
                )
    return array.astype(dtype, copy=False)


def _array(value: Any) -> np.ndarray:
    """`np.array(value)`, in half its time where it is whole numbers 0..255, as pixels are."""
    first, level = value, [value]
    shape: list[int] = []
    while type(first) is list and first and len(shape) < MOST_DIMENSIONS:
        shape.append(len(first))
        first = first[0]
    if type(first) is not int:
        return np.array(value)
    try:
        for size in shape:
            if set(map(len, level)) != {size}:
                return np.array(value)
            level = list(chain.from_iterable(level))
        return np.frombuffer(bytes(level), np.uint8).reshape(shape)
    except (TypeError, ValueError):  # other numbers, or lists beside other values
        return np.array(value)


_KINDS = {"U": "strings", "b": "true and false", "f": "decimal numbers", "O": "mixed values"}


def _type_message(tensor: Tensor, got: str) -> str:
    hint = ""
    if got == "mixed values":
        hint = ' Encoded pictures go to "signature_name": "serving_bytes".'
    return f"Input {tensor.name!r} is of type {tensor.type_name}; got {got}.{hint}"


def is_b64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _strings(value: Any, tensor: Tensor) -> np.ndarray:
    """Texts as UTF-8 and {"b64": ...} as its bytes, in an array of the lists' shape."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if len(shape) == MOST_DIMENSIONS:
            raise BadRequest(f"Input {tensor.name!r}: lists nested too deep.")
        if any(not isinstance(item, list) or len(item) != size for item in level):
            raise BadRequest(f"Input {tensor.name!r}: lists of unequal length.")
        shape.append(size)
        level = [item for sub in level for item in sub]
    flat = np.empty(len(level), object)
    for i, item in enumerate(level):
        flat[i] = _string(item, tensor)
    if not level:
        raise BadRequest(_type_message(tensor, "nothing"))
    return flat.reshape(shape)


def _string(item: Any, tensor: Tensor) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if is_b64(item):
        try:
            return base64.b64decode(item["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest("Unable to base64 decode") from error
    raise BadRequest(_type_message(tensor, f"a JSON {type(item).__name__}"))


def row_reply(arrays: list[np.ndarray], outputs: tuple[Tensor, ...], rows: int) -> bytes:
    """{"predictions": [...]}: one value per row, an object where there are several outputs."""
    for array, tensor in zip(arrays, outputs, strict=True):
        if not array.ndim or len(array) != rows:
            raise BadRequest(
                f"Tensor name: {tensor.name} has no row per instance; ask with 'inputs'."
            )
    columns = [_jsonable(a, t) for a, t in zip(arrays, outputs, strict=True)]
    if len(outputs) == 1:
        return to_json({"predictions": columns[0]}, arrays)
    names = [t.name for t in outputs]
    return to_json(
        {"predictions": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]},
        arrays,
    )


def column_reply(arrays: list[np.ndarray], outputs: tuple[Tensor, ...]) -> bytes:
    """{"outputs": ...}: the value of the only output, or an object of all."""
    columns = [_jsonable(a, t) for a, t in zip(arrays, outputs, strict=True)]
    if len(outputs) == 1:
        return to_json({"outputs": columns[0]}, arrays)
    names = [t.name for t in outputs]
    return to_json({"outputs": dict(zip(names, columns, strict=True))}, arrays)


def _jsonable(array: np.ndarray, tensor: Tensor) -> Any:
    if array.dtype != object:
        return np.ascontiguousarray(array) if array.ndim > 1 else array.tolist()
    binary = tensor.name.endswith("_bytes")

    def text(item: Any) -> Any:
        if isinstance(item, np.ndarray | list):
            return [text(part) for part in item]
        if binary:
            return {"b64": base64.b64encode(item).decode("ascii")}
        return item.decode("utf-8", "replace")

    return text(array) if array.ndim else text(array.item())


def to_json(value: Any, arrays: list[np.ndarray] | None = None) -> bytes:
    """JSON text; not-a-number is written NaN, as TensorFlow Serving does, and not null."""
    if arrays and any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in arrays):
        return json.dumps(value, default=lambda array: array.tolist()).encode()
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
