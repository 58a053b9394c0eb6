"""Where each tensor of a torchvision, timm or keras.applications network belongs in ours."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

__all__ = ["NAMINGS", "Slot", "slots"]

NAMINGS = ("torchvision", "keras")
_TORCH = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclass(frozen=True)
class Slot:
    """One tensor of a file: its `name` and `shape` there, and how it fits into `variable`."""

    name: str
    shape: tuple[int, ...]
    variable: keras.Variable
    convert: Callable[[np.ndarray], np.ndarray]


def slots(model: keras.Model, naming: str) -> list[Slot]:
    """Every tensor that `naming` has for this model, in the order of its layers.

    Raises:
        ValueError: if the naming has no such network (torchvision none with
            pre-activation) or the model is not one of kcnn's.
    """
    found: list[Slot] = []
    cells = _cells_before_dense(model)
    for layer, name in _leaves(model, naming):
        for variable in layer.weights:
            kind = variable.path.rpartition("/")[2]
            if kind not in _TORCH:
                raise ValueError(
                    f"load_weights: {model.name} has a variable {variable.path!r} that the "
                    f"{naming} names do not know; load into a model with batch, group, layer, "
                    "instance or no normalization."
                )
            shape = tuple(variable.shape)
            if naming == "keras":
                found.append(Slot(f"{name}/{kind}", shape, variable, np.asarray))
                continue
            convert: Callable[[np.ndarray], np.ndarray] = np.asarray
            if kind == "kernel" and len(shape) == 4:
                convert, shape = _hwio, (shape[3], shape[2], shape[0], shape[1])
            elif kind == "kernel":
                convert = np.transpose
                if cells is not None and layer.name == "dense_1":
                    convert = _flattened(cells)
                shape = shape[::-1]
            found.append(Slot(f"{name}.{_TORCH[kind]}", shape, variable, convert))
    return found


def _hwio(kernel: np.ndarray) -> np.ndarray:
    return np.transpose(kernel, (2, 3, 1, 0))


def _flattened(cells: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """PyTorch flattens (channels, height, width), Keras (height, width, channels)."""

    def convert(matrix: np.ndarray) -> np.ndarray:
        out, size = matrix.shape
        maps = matrix.reshape(out, size // (cells[0] * cells[1]), *cells)
        return np.transpose(maps, (2, 3, 1, 0)).reshape(size, out)

    return convert


def _names(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers}


def _cells_before_dense(model: keras.Model) -> tuple[int, int] | None:
    for layer in model.layers:
        if layer.name == "grid":
            return (layer.size, layer.size)
    return None


def _leaves(model: keras.Model, naming: str) -> Iterator[tuple[keras.Layer, str]]:
    """(layer with variables, its name in the naming) for every such layer."""
    names = _names(model)
    if "stage_1_block_1" in names:
        yield from (_torch_residual if naming == "torchvision" else _keras_residual)(model)
    elif "stage_1_conv_1" in names:
        yield from (_torch_sequence if naming == "torchvision" else _keras_vgg)(model)
    elif "conv_5" in names and naming == "torchvision":
        yield from _torch_sequence(model)
    else:
        raise ValueError(
            f"load_weights: there are no {naming} names for the model {model.name!r}; it must "
            "be one that kcnn.create_model made, and of a family that is published there."
        )


def _parts(layer: Any, conv: str, norm: str) -> Iterator[tuple[keras.Layer, str]]:
    """The convolution and the normalization of one `ConvNormAct`."""
    yield layer.conv, conv
    if layer.norm is not None:
        yield _bare(layer.norm), norm


def _bare(layer: Any) -> Any:
    """The normalization inside a norm-and-activation pair."""
    return getattr(layer, "normalization", layer)


def _blocks(model: keras.Model) -> Iterator[tuple[int, int, Any]]:
    for layer in model.layers:
        match = re.fullmatch(r"stage_(\d+)_block_(\d+)", layer.name)
        if match:
            yield int(match[1]), int(match[2]), layer


def _torch_residual(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    if any(hasattr(block, "preact") for _, _, block in _blocks(model)):
        raise ValueError(
            f"load_weights: torchvision has no pre-activation network such as {model.name!r}; "
            'its weights are named as in keras.applications (naming="keras").'
        )
    yield from _parts(model.get_layer("stem"), "conv1", "bn1")
    for i, j, block in _blocks(model):
        name = f"layer{i}.{j - 1}"
        for k, conv in enumerate(block.branch, 1):
            yield from _parts(conv, f"{name}.conv{k}", f"{name}.bn{k}")
        if getattr(block.shortcut, "conv", None) is not None:
            yield from _parts(block.shortcut, f"{name}.downsample.0", f"{name}.downsample.1")
    yield from _head(model, "fc")


def _keras_residual(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    yield from _parts(model.get_layer("stem"), "conv1_conv", "conv1_bn")
    for i, j, block in _blocks(model):
        name = f"conv{i + 1}_block{j}"
        if hasattr(block, "preact"):
            yield _bare(block.preact), f"{name}_preact_bn"
        if getattr(block.shortcut, "conv", None) is not None:
            yield from _parts(block.shortcut, f"{name}_0_conv", f"{name}_0_bn")
        for k, conv in enumerate(block.branch, 1):
            yield from _parts(conv, f"{name}_{k}_conv", f"{name}_{k}_bn")
    for layer in model.layers:
        if layer.name in ("norm", "norm_activation"):
            yield _bare(layer), "post_bn"
    yield from _head(model, "predictions")


def _torch_sequence(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    """VGG and AlexNet: features and classifier, numbered through with their activations."""
    i, j = 0, 0
    for layer in model.layers:
        if hasattr(layer, "conv"):
            yield from _parts(layer, f"features.{i}", f"features.{i + 1}")
            i += 2 if layer.norm is None else 3
        elif isinstance(layer, keras.layers.MaxPooling2D):
            i += 1
    j = 1 if "conv_5" in _names(model) else 0  # AlexNet drops before its dense layers
    for name in ("dense_1", "dense_2"):
        if name in _names(model):
            yield model.get_layer(name), f"classifier.{j}"
            j += 3
    yield from _head(model, "classifier.6")


def _keras_vgg(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    for layer in model.layers:
        match = re.fullmatch(r"stage_(\d+)_conv_(\d+)", layer.name)
        if match:
            name = f"block{match[1]}_conv{match[2]}"
            yield from _parts(layer, name, f"{name}_bn")
    for i in (1, 2):
        if f"dense_{i}" in _names(model):
            yield model.get_layer(f"dense_{i}"), f"fc{i}"
    yield from _head(model, "predictions")


def _head(model: keras.Model, name: str) -> Iterator[tuple[keras.Layer, str]]:
    if "logits" in _names(model):
        yield model.get_layer("logits"), name
