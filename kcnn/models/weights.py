"""Load weights from elsewhere, all of them or none."""

import fnmatch
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.layers._checks import one_of
from kcnn.models._names import NAMINGS, Slot, fitting, slots
from kcnn.models._torch_file import read_torch

__all__ = ["LoadReport", "load_weights", "read_tensors"]

# Counters that PyTorch's BatchNorm keeps and nothing here needs.
_IDLE = "*num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """What `load_weights` did: names as they stand in the file.

    `matched` were loaded, `ignored` are in the file alone and were left (skipped, or
    PyTorch's batch counters), `kept` are variables of the model that stay as they were.

    >>> print(LoadReport("w.npz", "torchvision", matched=("fc.bias",)))
    w.npz: 1 tensors loaded (torchvision names), 0 in the file ignored, 0 of the model kept
    """

    source: str
    naming: str
    matched: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.source}: {len(self.matched)} tensors loaded ({self.naming} names), "
            f"{len(self.ignored)} in the file ignored, {len(self.kept)} of the model kept"
        )


def load_weights(
    model: keras.Model,
    source: str | os.PathLike[str] | Mapping[str, Any] | keras.Model,
    *,
    naming: str | None = None,
    skip: Iterable[str] = (),
) -> LoadReport:
    """Load a state dict into a model of kcnn's, all of it or nothing.

    Args:
        model: made by `kcnn.create_model`.
        source: a `.safetensors`, `.npz`, `.pt` or `.pth` file, a mapping from names to
            arrays, or a model of keras.applications.
        naming: "torchvision", "timm" (its ResNets are named as torchvision's) or
            "efficientnet_pytorch", all with kernels as PyTorch has them; "keras" (as
            keras.applications, "conv1_conv/kernel"); None takes what fits best.
        skip: patterns of names to leave out on both sides, such as "fc.*" for a head
            with another number of classes.

    Returns:
        A report of what matched; `print` it.

    Raises:
        ValueError: a tensor is missing, extra or of another shape (it is named), or the
            file cannot be read. The model is then as it was.

    >>> network, state = kcnn.create_model("resnet8"), {"fc.bias": np.ones(10)}
    >>> load_weights(network, state, skip=["conv*", "bn*", "layer*", "fc.weight"]).matched
    ('fc.bias',)
    """
    if naming is not None:
        one_of("load_weights", "naming", naming, NAMINGS)
    return fill(model, *named_tensors(source), naming, [skip] if isinstance(skip, str) else skip)


def fill(
    model: keras.Model,
    label: str,
    tensors: Mapping[str, Any],
    naming: str | None = None,
    skip: Iterable[str] = (),
) -> LoadReport:
    """`load_weights` of tensors by name, of a source called `label`."""
    skip = list(skip)
    naming, wanted = _choose(model, tensors, naming)

    def skipped(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in skip)

    taken = [slot for slot in wanted if not skipped(slot.name)]
    kept = tuple(slot.name for slot in wanted if skipped(slot.name))
    names = {slot.name for slot in taken}
    ignored = tuple(
        name
        for name in tensors
        if name not in names and (skipped(name) or fnmatch.fnmatchcase(name, _IDLE))
    )
    extra = [name for name in tensors if name not in names and name not in ignored]
    values = _checked(f"{label} does not fit {model.name}", taken, tensors, extra)
    for slot, value in zip(taken, values, strict=True):
        slot.variable.assign(value)
    return LoadReport(label, naming, tuple(slot.name for slot in taken), ignored, kept)


def tensor_names(model: keras.Model, source: Any) -> list[str]:
    """What the weights of `model` are called in the naming that `source` fits best."""
    _, tensors = named_tensors(source)
    return [slot.name for slot in _choose(model, tensors, None)[1]]


def head_names(model: keras.Model, naming: str | None = None) -> list[str]:
    """What the weights of the model's last layer, `logits`, are called in a naming or in any."""
    own = {id(w) for layer in model.layers if layer.name == "logits" for w in layer.weights}
    kinds = fitting(model) if naming is None else {naming: slots(model, naming)}
    return [slot.name for kind in kinds.values() for slot in kind if id(slot.variable) in own]


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Name to array for a `.safetensors`, `.npz`, `.pt`, `.pth` or `.bin` file.

    PyTorch files are read without PyTorch, and nothing in them is executed.

    Raises:
        ValueError: another kind of file, or one that cannot be read.
        FileNotFoundError: there is none.
        ImportError: a `.safetensors` file, and the package safetensors is not installed.

    >>> np.savez("mine.npz", kernel=np.zeros((3, 3, 8, 16)))
    >>> read_tensors("mine.npz")["kernel"].shape
    (3, 3, 8, 16)
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
        ".safetensors": _read_safetensors,
        ".npz": _read_npz,
        ".pt": read_torch,
        ".pth": read_torch,
        ".bin": read_torch,
    }
    if path.suffix not in readers:
        raise ValueError(
            f"load_weights: {path} is of no known kind; it must be one of {', '.join(readers)}."
        )
    if not path.is_file():
        raise FileNotFoundError(f"load_weights: there is no file {path}.")
    return readers[path.suffix](path)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            f"load_weights: {path} needs the package safetensors; "
            "install it with `pip install kcnn[weights]`."
        ) from None
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a safetensors file: {error}.") from None


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as an .npz file: {error}.") from None


def named_tensors(source: Any) -> tuple[str, Mapping[str, Any]]:
    """What the source is called, and its tensors by name."""
    if isinstance(source, keras.Model):
        return source.name, {
            f"{layer.name}/{_weight_name(variable)}": np.asarray(variable)
            for layer in _inner_layers(source)
            for variable in layer.weights
        }
    if isinstance(source, Mapping):
        return "the state dict", {str(name): np.asarray(value) for name, value in source.items()}
    tensors = read_tensors(source)
    if tensors and all(name.startswith("module.") for name in tensors):  # saved from several GPUs
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return Path(source).name, tensors


def _inner_layers(model: keras.Model) -> Iterator[Any]:
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _inner_layers(layer)
        else:
            yield layer


def _weight_name(variable: Any) -> str:
    """Its own name; keras.applications' LayerScale leaves its gamma without one."""
    name = variable.path.rpartition("/")[2]
    return "gamma" if name.startswith("variable") else name


def _choose(
    model: keras.Model, tensors: Mapping[str, Any], naming: str | None
) -> tuple[str, list[Slot]]:
    if naming is not None:
        return naming, slots(model, naming, tensors)
    found = fitting(model, tensors)
    if not found:
        slots(model, NAMINGS[0])  # raises, and says why

    def hits(kind: str) -> int:
        return sum(slot.name in tensors for slot in found[kind])

    kind = max(found, key=hits)
    return kind, found[kind]


def _checked(
    what: str, wanted: list[Slot], tensors: Mapping[str, Any], extra: list[str]
) -> list[np.ndarray]:
    """The values in the model's own form, or ValueError naming what does not fit."""
    missing = [slot.name for slot in wanted if slot.name not in tensors]
    other = [
        f"{slot.name} is {tuple(tensors[slot.name].shape)} instead of {slot.shape}"
        for slot in wanted
        if slot.name in tensors and tuple(tensors[slot.name].shape) != slot.shape
    ]
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in (("missing", missing), ("extra", extra), ("of another shape", other))
        if names
    ]
    if problems:
        raise ValueError(
            f"load_weights: {what}: {'; '.join(problems)}. Nothing was loaded. Build the model "
            "as the file's was (name, classes, norm, use_bias), or leave tensors out by `skip`."
        )
    return [slot.convert(np.asarray(tensors[slot.name], "float32")) for slot in wanted]
