"""VGG: Simonyan & Zisserman 2014, arXiv:1409.1556."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.layers._conv import kaiming_for
from kcnn.models import _parts
from kcnn.models._grid_pool import GridAveragePooling
from kcnn.models._naming import Naming
from kcnn.models._options import Norm, Options
from kcnn.models._registry import register_model

__all__ = ["VGGOptions", "vgg", "vgg11", "vgg13", "vgg16", "vgg19"]

HIDDEN = 4096  # units of each of the two hidden layers


@dataclass(frozen=True, kw_only=True)
class VGGOptions(Options):
    """Networks that end in three dense layers.

    `norm="batch"` gives torchvision's `*_bn`. `dropout` is the rate at each of the two hidden
    dense layers; `pooling` before them gives smaller ones, for one cell.
    """

    norm: Norm = "none"
    dropout: float = 0.5


def vgg(
    options: VGGOptions, *, name: str, depths: Sequence[int], filters: Sequence[int]
) -> keras.Model:
    """Stages of 3x3 convolutions and a 2x2 max pooling: images to (batch, classes) logits.

    `depths` counts the convolutions per stage; every stage halves the image at its end.
    Every convolution has a bias, as published. The last map is averaged to a grid of 7x7
    (as it has from 224x224) or pooled by `pooling`, and goes through dense layers of
    4,096, 4,096 and `classes`. Layers: stage_1_conv_1, ..., stage_1_pool, ..., grid,
    dense_1, dense_2, logits.

    >>> kcnn.create_model("vgg11", 10, norm="batch", pooling="avg").output_shape
    (None, 10)
    """
    inputs, x = _parts.start(options, name=name, smallest=2 ** len(depths))
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True), 1):
        for j in range(1, depth + 1):
            x = ConvNormAct(
                options.scaled(size), use_bias=True, name=f"stage_{i}_conv_{j}", **options.normed
            )(x)
        x = keras.layers.MaxPooling2D(2, data_format=options.layout, name=f"stage_{i}_pool")(x)
    if not options.include_top:
        return _parts.finish(options, inputs, x, name=name)
    return _parts.model_of(options, inputs, dense_top(x, options, grid=7), name=name)


def dense_top(x: Any, options: Options, *, grid: int, dropout_first: bool = False) -> Any:
    """(batch, h, w, c) -> (batch, classes): a grid of cells, two hidden layers, logits.

    The weights fit a map of `grid` x `grid` cells; with "avg" or "max" `pooling` they fit
    one cell. Dropout stands after each hidden layer or, with `dropout_first`, before it.
    """
    if options.pooling is None:
        x = GridAveragePooling(grid, data_format=options.layout, name="grid")(x)
        # Flatten always gives (height, width, channels) order, whatever the data format.
        x = keras.layers.Flatten(data_format=options.layout, name="flatten")(x)
    else:
        x = _parts.pool(x, options.pooling, options.layout)
    dropout = options.dropout
    for i in (1, 2):
        if dropout and dropout_first:
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
        x = keras.layers.Dense(
            options.scaled(HIDDEN),
            activation=options.activation,
            # By fan out 25,088 inputs to 4,096 outputs would explode.
            kernel_initializer=kaiming_for(options.activation, mode="fan_in"),
            name=f"dense_{i}",
        )(x)
        if dropout and not dropout_first:
            x = keras.layers.Dropout(dropout, name=f"dropout_{i}")(x)
    return _parts.classifier(x, options.classes, 0.0, options.classifier_activation)


def numbered(model: keras.Model) -> dict[str, str]:
    """torchvision's names: features and classifier, numbered through with their activations."""
    table = {"logits": "classifier.6"}
    drops_first = "conv_5" in (layer.name for layer in model.layers)  # as AlexNet
    i, j = 0, int(drops_first)
    for layer in model.layers:
        if isinstance(layer, ConvNormAct):
            table[f"{layer.name}.conv"] = f"features.{i}"
            table[f"{layer.name}.norm"] = f"features.{i + 1}"
            i += 2 if layer.norm is None else 3
        elif isinstance(layer, keras.layers.MaxPooling2D):
            i += 1
        elif layer.name.startswith("dense_"):
            table[layer.name] = f"classifier.{j}"
            j += 3  # it, its activation, dropout
    return table


TORCHVISION = Naming("torchvision", numbered)
KERAS = Naming(
    "keras",
    {
        "conv.conv": "block{i}_conv{j}",
        "conv.norm": "block{i}_conv{j}_bn",
        "dense_1": "fc1",
        "dense_2": "fc2",
        "logits": "predictions",
    },
)

_COMMON: dict[str, Any] = {"filters": (64, 128, 256, 512, 512), "names": (TORCHVISION, KERAS)}


def _table(column: str, *depths: int) -> dict[str, Any]:
    source = f"Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, {column}"
    return {"source": source, "depths": depths, **_COMMON}


vgg11 = register_model("vgg11", vgg, VGGOptions, **_table("A", 1, 1, 2, 2, 2))
vgg13 = register_model("vgg13", vgg, VGGOptions, **_table("B", 2, 2, 2, 2, 2))
vgg16 = register_model("vgg16", vgg, VGGOptions, **_table("D", 2, 2, 3, 3, 3))
vgg19 = register_model("vgg19", vgg, VGGOptions, **_table("E", 2, 2, 4, 4, 4))
