"""AlexNet: Krizhevsky, Sutskever & Hinton 2012, in the one-column form of arXiv:1404.5997."""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._dense_top import POOLINGS, dense_top
from kcnn.models._registry import register

__all__ = ["alexnet"]


def _alexnet(
    *,
    filters: Sequence[int],
    classes: int,
    input_shape: Sequence[int | None],
    name: str,
    norm: Any = "none",
    norm_kwargs: dict[str, Any] | None = None,
    activation: Any = "relu",
    dropout: float = 0.5,
    include_top: bool = True,
    pooling: str | None = None,
    width: float = 1.0,
    preprocess: keras.layers.Layer | None = None,
    data_format: str | None = None,
) -> keras.Model:
    """Five convolutions, three max poolings, three dense layers: images to (batch, classes).

    Args:
        filters: of the five convolutions (11x11 stride 4, 5x5, three of 3x3).
        norm: between convolution and activation. The local response normalization of
            2012 is left out, as in the form of 2014 and in torchvision.
        dropout: rate before each of the two hidden dense layers.
        include_top, pooling: as for `vgg`; the grid is 6x6.
        norm_kwargs, activation, width, preprocess, data_format: as for `resnet`.
    """
    data_format = data_format or keras.config.image_data_format()
    _parts.one_of(name, "pooling", pooling, POOLINGS)
    _parts.check_numbers(
        name, classes=classes, width=width, include_top=include_top, dropout=dropout
    )
    inputs, x = _parts.image_input(
        input_shape, name=name, smallest=63, data_format=data_format, preprocess=preprocess
    )
    common = {
        "norm": norm,
        "norm_kwargs": norm_kwargs,
        "activation": activation,
        "use_bias": True,
        "data_format": data_format,
    }
    sizes = [_parts.scaled(size, width) for size in filters]
    x = keras.layers.ZeroPadding2D(2, data_format=data_format, name="conv_1_pad")(x)
    x = ConvNormAct(sizes[0], 11, strides=4, padding="valid", name="conv_1", **common)(x)
    for i, size in enumerate(sizes[1:], 2):
        if i <= 3:
            x = keras.layers.MaxPooling2D(3, 2, data_format=data_format, name=f"pool_{i - 1}")(x)
        x = ConvNormAct(size, 5 if i == 2 else 3, name=f"conv_{i}", **common)(x)
    x = keras.layers.MaxPooling2D(3, 2, data_format=data_format, name="pool_5")(x)
    if include_top:
        x = dense_top(
            x,
            grid=6,
            hidden=_parts.scaled(4096, width),
            classes=classes,
            activation=activation,
            dropout=dropout,
            dropout_first=True,
            pooling=pooling,
            data_format=data_format,
        )
    else:
        x = _parts.pool(x, pooling, data_format)
    return keras.Model(inputs, x, name=name)


alexnet = register(
    "alexnet",
    _alexnet,
    source="Krizhevsky 2014, arXiv:1404.5997; as torchvision",
    filters=(64, 192, 384, 256, 256),
)
