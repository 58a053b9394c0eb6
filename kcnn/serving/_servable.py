"""Any Keras classifier as one function: images of the preprocessing's shape to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from kcnn.preprocessing import Preprocessing
from kcnn.serving._graph import freeze
from kcnn.serving._output import Output, read_output

__all__ = ["Servable", "make_servable"]

_NORMALIZATION = ("scale", "offset", "mean", "std")
_CHANNELS = (1, 3, 4)


class _Probabilities(keras.Model):
    """Images 0..255 (n, h, w, c), channels last, to float32 probabilities (n, classes)."""

    def __init__(
        self, model: keras.Model, normalize: keras.layers.Layer | None, output: Output, first: bool
    ):
        super().__init__(dtype="float32", autocast=False, name="probabilities")
        self.model, self.normalize, self.output_meaning = model, normalize, output
        self.channels_first = first

    def build(self, input_shape: Any) -> None:
        self.built = True  # its parts are

    def call(self, images: Any) -> Any:
        x = keras.ops.cast(images, "float32")
        if self.normalize is not None:
            x = self.normalize(x)
        if self.channels_first:
            x = keras.ops.transpose(x, (0, 3, 1, 2))
        dtype = _input_dtype(self.model)
        if "int" in dtype:
            x = keras.ops.round(x)
        outputs = self.model(keras.ops.cast(x, dtype), training=False)
        return self.output_meaning.probabilities(keras.tree.flatten(outputs)[0])


@dataclass(frozen=True, eq=False)
class Servable:
    """What every format writes: the whole way from pixels to probabilities, with names."""

    model: keras.Model
    preprocessing: Preprocessing
    output: Output
    class_names: tuple[str, ...]
    probabilities: keras.Model

    @cached_property
    def frozen(self) -> keras.Model:
        """`probabilities` as converters take it."""
        return freeze(self.probabilities, self.image_shape)

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        height, width, channels = self.preprocessing.image_shape
        return height, width, channels


def make_servable(
    model: keras.Model,
    *,
    class_names: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    from_logits: bool | None,
    multi_label: bool | None,
) -> Servable:
    """Settle how pixels come in and what comes out; ValueError where that isn't clear."""
    if not model.built:
        raise ValueError(
            f"export: model {model.name!r} is not built, so it has no weights; train or call it "
            "first."
        )
    own = Preprocessing.of(model)
    declared, first = _declared_shape(model)
    settled = _settle(model, own, preprocessing, declared)
    normalize = None if own is not None else settled.layer()
    output = read_output(
        model,
        _units(model, settled.image_shape, first),
        from_logits=from_logits,
        multi_label=multi_label,
    )
    names = _checked_names(class_names, output.classes)
    probabilities = _Probabilities(model, normalize, output, first)
    return Servable(model, settled, output, tuple(names), probabilities)


def _declared_shape(model: keras.Model) -> tuple[tuple[int | None, ...] | None, bool]:
    """(height, width, channels) the model says it takes, or None; whether channels come first."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None, False
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in inputs]
        raise ValueError(
            f"export: model {model.name!r} takes inputs of shape {shapes}; one input of images "
            "(batch, height, width, channels) is expected."
        )
    shape = tuple(inputs[0].shape[1:])
    first = shape[-1] not in _CHANNELS and shape[0] in _CHANNELS
    return ((*shape[1:], shape[0]) if first else shape), first


def _settle(
    model: keras.Model,
    own: Preprocessing | None,
    given: Preprocessing | None,
    declared: tuple[int | None, ...] | None,
) -> Preprocessing:
    """The preprocessing that holds: what was given, else the model's own, else its shape's."""
    who = f"export: model {model.name!r}"
    settled = given or own
    if settled is None:
        if declared is None:
            raise ValueError(
                f"{who} does not say which images it takes; pass preprocessing=Preprocessing(size)."
            )
        height, width, channels = declared
        if channels is None:
            raise ValueError(f"{who} takes any number of channels; pass preprocessing=.")
        return Preprocessing(None if None in (height, width) else (height, width), channels)
    if own is not None and given is not None:
        for key in _NORMALIZATION:
            if getattr(own, key) != getattr(given, key):
                raise ValueError(
                    f"{who} normalizes by itself with {key}={getattr(own, key)}, but the given "
                    f"preprocessing has {key}={getattr(given, key)}; give one that agrees "
                    "(Preprocessing.of(model).replace(...)) or none."
                )
    if declared is not None:
        if settled.size is None and None not in declared[:2]:
            settled = settled.replace(size=declared[:2])
        pairs = zip(settled.image_shape, declared, strict=True)
        if any(theirs is not None and ours != theirs for ours, theirs in pairs):
            raise ValueError(
                f"{who} takes images of shape {declared}, but the preprocessing makes "
                f"{settled.image_shape}; make it fit."
            )
    return settled


def _units(model: keras.Model, image_shape: Sequence[int | None], first: bool) -> int:
    height, width, channels = image_shape
    shape = (channels, height, width) if first else (height, width, channels)
    outputs = model(keras.KerasTensor((None, *shape), _input_dtype(model)), training=False)
    shapes = [tuple(output.shape) for output in keras.tree.flatten(outputs)]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise ValueError(
            f"export: model {model.name!r} gives {shapes}; one output of shape (batch, classes) is "
            "expected."
        )
    return int(shapes[0][1])


def _input_dtype(model: keras.Model) -> str:
    inputs = getattr(model, "inputs", None)
    return keras.backend.standardize_dtype(inputs[0].dtype) if inputs else "float32"


def _checked_names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    """The names as a list, numbers where there are none; ValueError if they don't fit."""
    if class_names is None:
        return [str(number) for number in range(classes)]
    if isinstance(class_names, str):
        raise ValueError(
            f"export: class_names={class_names!r} is one string; pass a list of names."
        )
    names = list(class_names)
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                f"export: class name {name!r} must be a non-empty string of one line (the asset "
                "class_names.txt holds one name a line)."
            )
    if len(names) != classes:
        raise ValueError(
            f"export: the model tells {classes} classes apart, but {len(names)} class names were "
            "given; pass one name per output, in their order (two for a single unit)."
        )
    return names
