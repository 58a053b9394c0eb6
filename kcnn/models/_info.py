"""What a network costs: parameters and multiply-adds, counted on the network itself."""

import functools
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras

from kcnn.models._card import WeightsCard
from kcnn.models._memory import without_memory
from kcnn.models._pretrained import weights_cards
from kcnn.models._registry import Network, find, list_models

__all__ = ["ModelInfo", "model_info", "model_table", "multiply_adds"]

_COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


@dataclass(frozen=True)
class ModelInfo:
    """One line of `kcnn models`.

    `parameters` counts the trainable ones of the published network,
    `multiply_adds` those of convolutions and dense layers for one image of
    `input` (height, width, channels); `source` is the publication; `pretrained` are the
    cards of its weights, for `create_model(name, pretrained=card.name)`.

    >>> sorted(model_info("resnet20").to_dict())[:3]
    ['classes', 'input', 'multiply_adds']
    """

    name: str
    parameters: int
    multiply_adds: int
    input: tuple[int, int, int]
    classes: int
    source: str
    pretrained: tuple[WeightsCard, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        cards = [card.to_dict() for card in self.pretrained]
        return {**asdict(replace(self, pretrained=())), "pretrained": cards}


def model_info(name: str) -> ModelInfo:
    """Count the published network `name` without allocating its weights.

    Raises:
        ValueError: for an unknown name.

    >>> model_info("resnet18").parameters
    11689512
    """
    entry = find(name)
    parameters, products = _counted(entry)
    height, width, channels = entry.options.input_shape
    if height is None or width is None or channels is None:
        raise ValueError(f"model_info: {name} is registered for images of any size.")
    shape = (height, width, channels)
    cards = weights_cards(name)
    return ModelInfo(name, parameters, products, shape, entry.options.classes, entry.source, cards)


@functools.cache
def _counted(entry: Network[...]) -> tuple[int, int]:
    """Parameters and multiply-adds of the published network."""

    def count() -> tuple[int, int]:
        model = entry(data_format="channels_last")
        size = sum(math.prod(w.shape) for w in model.trainable_variables)
        return size, multiply_adds(model)

    return without_memory(count)


def model_table(pattern: str = "*") -> list[ModelInfo]:
    """`model_info` of every registered network that matches the shell pattern.

    >>> [info.name for info in model_table("vgg1?")]
    ['vgg11', 'vgg13', 'vgg16', 'vgg19']
    """
    return [model_info(name) for name in list_models(pattern)]


def multiply_adds(model: keras.Model) -> int:
    """Multiplications of one image in the convolutions and dense layers of a built model.

    Raises:
        ValueError: if the model takes images of any size, for then there is no one number.

    >>> multiply_adds(kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3)))
    40551040
    """
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if not isinstance(layer, _COUNTED):
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
