"""What a network costs: parameters and multiply-adds, counted on the network itself."""

import functools
import math
import threading
from dataclasses import asdict, dataclass
from typing import Any

import keras

from kcnn.models._registry import find, list_models

__all__ = ["ModelInfo", "model_info", "model_table", "multiply_adds"]


@dataclass(frozen=True)
class ModelInfo:
    """One line of `kcnn models`.

    `parameters` counts the trainable ones of the published network,
    `multiply_adds` those of convolutions and dense layers for one image of
    `input` (height, width, channels); `source` is the publication.
    """

    name: str
    parameters: int
    multiply_adds: int
    input: tuple[int, int, int]
    classes: int
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


@functools.cache
def model_info(name: str) -> ModelInfo:
    """Count the published network `name` without allocating its weights.

    Raises:
        ValueError: for an unknown name.
    """
    entry = find(name)
    counted: list[tuple[int, int]] = []
    failed: list[BaseException] = []

    def count() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = entry(data_format="channels_last")
                weights = model.trainable_variables
                size = sum(math.prod(w.shape) for w in weights)
                counted.append((size, multiply_adds(model)))
        except BaseException as error:
            failed.append(error)

    # In a stateless scope variables have a shape and no memory. Keras keeps a list, one per
    # thread, of those still to be filled: in a thread of its own it ends with the thread.
    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    parameters, products = counted[0]
    return ModelInfo(name, parameters, products, entry.input_shape, entry.classes, entry.source)


def model_table(pattern: str = "*") -> list[ModelInfo]:
    """`model_info` of every registered network that matches the shell pattern."""
    return [model_info(name) for name in list_models(pattern)]


def multiply_adds(model: keras.Model) -> int:
    """Multiplications of one image in the convolutions and dense layers of a built model.

    Raises:
        ValueError: if the model takes images of any size, for then there is no one number.
    """
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            continue
        shape = layer.compute_output_shape(layer.get_build_config()["input_shape"])
        first = getattr(layer, "data_format", None) == "channels_first"
        places = shape[2:] if first else shape[1:-1]
        if None in places:
            raise ValueError(
                f"multiply_adds: {model.name} is built for images of any size; "
                "build it with a height and a width to count."
            )
        total += math.prod(places) * math.prod(layer.kernel.shape)
    return total
