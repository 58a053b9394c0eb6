"""Where each tensor of a published network belongs in ours."""

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kcnn.models._naming import NAMINGS, Naming
from kcnn.models._registry import namings

__all__ = ["NAMINGS", "Slot", "fitting", "slots"]

_TORCH = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_BLOCK = re.compile(r"stage_(\d+)_(block|conv|norm|down)(?:_(\d+))?")


@dataclass(frozen=True)
class Slot:
    """One tensor of a file: its `name` and `shape` there, and how it fits into `variable`."""

    name: str
    shape: tuple[int, ...]
    variable: keras.Variable
    convert: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Leaf:
    """One variable of the model: the paths it is looked up by, and what the names may hold."""

    layer: Any
    variable: keras.Variable
    paths: tuple[str, ...]
    numbers: dict[str, Any]


def slots(model: keras.Model, naming: str, among: Collection[str] = ()) -> list[Slot]:
    """Every tensor that `naming` has for this model, in the order of its layers.

    Raises:
        ValueError: if no family's table of this naming fits the model.
    """
    found = fitting(model, among)
    if naming in found:
        return found[naming]
    raise ValueError(
        f"load_weights: there are no {naming} names for the model {model.name!r}; "
        + (
            f"its weights are named by {' or '.join(found)}: naming={next(iter(found))!r}."
            if found
            else "it must be one that kcnn.create_model made, of a family that is published, "
            "with batch, group, layer, instance or no normalization."
        )
    )


def fitting(model: keras.Model, among: Collection[str] = ()) -> dict[str, list[Slot]]:
    """The slots of the model by every naming that has all of them.

    Several families may have networks of such layers: the one is taken whose names are most
    `among` those of the file.
    """
    leaves = list(_leaves(model))
    found: dict[str, list[list[Slot]]] = {}
    for naming in namings():
        with contextlib.suppress(KeyError):
            names = naming.table(model)
            table = [_slot(model, leaf, naming, names) for leaf in leaves]
            found.setdefault(naming.kind, []).append(table)

    def hits(table: list[Slot]) -> int:
        return sum(slot.name in among for slot in table)

    return {kind: max(found[kind], key=hits) for kind in NAMINGS if kind in found}


def _leaves(model: keras.Model) -> Iterator[_Leaf]:
    blocks: list[str] = []
    for layer in model.layers:
        match = _BLOCK.fullmatch(layer.name)
        numbers: dict[str, Any] = {}
        top = layer.name
        if match:
            i, j = int(match[1]), int(match[3] or 1)
            numbers = {"i": i, "j": j, "i0": i - 1, "j0": j - 1, "i1": i + 1}
            numbers["letter"] = chr(ord("a") + j - 1)
            if match[2] == "block":
                blocks.append(layer.name)
                numbers["n"] = len(blocks) - 1
            top = match[2]
        for inner, path, weights in _walk(layer):
            for variable in weights:
                kind = variable.path.rpartition("/")[2]
                if "seed_generator" in kind:
                    continue
                # A normalization with an activation behind it goes by its own name.
                starts = ([],) if layer.name.endswith("_activation") else ([layer.name], [top])
                names = [".".join([*start, *path]) for start in starts]
                if inside := re.search(r"(?<=\.conv_)\d", names[-1]):
                    numbers = {**numbers, "k": inside[0]}
                    names.append(re.sub(r"(?<=\.conv_)\d", "{k}", names[-1]))
                paths = (*(f"{name}/{kind}" for name in names), *names)
                yield _Leaf(inner, variable, paths, numbers)


def _walk(layer: Any) -> Iterator[tuple[Any, tuple[str, ...], list[keras.Variable]]]:
    """(layer, its path below `layer`, its own weights) for every one that has some."""
    inner = list(layer._flatten_layers(include_self=False, recursive=False))
    theirs = {id(weight) for part in inner for weight in part.weights}
    own = [weight for weight in layer.weights if id(weight) not in theirs]
    if own:
        yield layer, (), own
    for part in dict.fromkeys(inner):
        wrapped = part.name.endswith("_activation")
        for deeper, path, weights in _walk(part):
            yield deeper, path if wrapped else (part.name, *path), weights


def _slot(model: keras.Model, leaf: _Leaf, naming: Naming, table: Mapping[str, str]) -> Slot:
    """A row of one table; KeyError with the path that it does not know."""
    key = next((path for path in leaf.paths if path in table), None)
    kind = leaf.variable.path.rpartition("/")[2]
    if key is None or kind not in _TORCH:
        raise KeyError(leaf.variable.path)
    theirs = table[key].format(**leaf.numbers)
    own = shape = tuple(leaf.variable.shape)
    if "/" in key:
        return Slot(theirs, shape, leaf.variable, np.asarray)
    if kind != "kernel":
        name = f"{theirs}/{kind}" if naming.kind == "keras" else f"{theirs}.{_TORCH[kind]}"
        return Slot(name, shape, leaf.variable, np.asarray)
    shape = {
        "pointwise": lambda: (1, 1, *shape),
        "grouped": lambda: (*shape[:2], 1, shape[2]),
    }.get(naming.shaped.get(key, ""), lambda: shape)()
    if naming.kind == "keras":
        return Slot(f"{theirs}/kernel", shape, leaf.variable, lambda value: value.reshape(own))
    return _torch_kernel(model, leaf, f"{theirs}.weight", shape)


def _torch_kernel(model: keras.Model, leaf: _Leaf, name: str, shape: tuple[int, ...]) -> Slot:
    """PyTorch has (out, in, h, w), depthwise (channels, 1, h, w), and (out, in) in dense layers."""
    if len(shape) == 2:
        side = next((layer.size for layer in model.layers if layer.name == "grid"), None)
        convert = _flattened(side) if side and leaf.layer.name == "dense_1" else np.transpose
        return Slot(name, shape[::-1], leaf.variable, convert)
    depthwise = isinstance(leaf.layer, keras.layers.DepthwiseConv2D)
    turn = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    there = tuple(shape[turn.index(axis)] for axis in range(4))

    def convert_kernel(kernel: np.ndarray) -> np.ndarray:
        return np.reshape(np.transpose(kernel, turn), tuple(leaf.variable.shape))

    return Slot(name, there, leaf.variable, convert_kernel)


def _flattened(side: int) -> Callable[[np.ndarray], np.ndarray]:
    """PyTorch flattens (channels, side, side), Keras (side, side, channels)."""

    def convert(matrix: np.ndarray) -> np.ndarray:
        out, size = matrix.shape
        maps = matrix.reshape(out, size // side**2, side, side)
        return np.transpose(maps, (2, 3, 1, 0)).reshape(size, out)

    return convert
