"""VGG: Simonyan & Zisserman 2014, arXiv:1409.1556."""

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.models import _parts
from kcnn.models._dense_top import POOLINGS, dense_top
from kcnn.models._registry import register

__all__ = ["vgg", "vgg11", "vgg13", "vgg16", "vgg19"]


def vgg(
    *,
    depths: Sequence[int],
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
    """Stages of 3x3 convolutions and a 2x2 max pooling: images to (batch, classes) logits.

    Args:
        depths: convolutions per stage; every stage halves the image at its end.
        filters: of the convolutions, per stage.
        norm: between convolution and activation; "batch" gives torchvision's `*_bn`.
            Every convolution has a bias, as published.
        dropout: rate after each of the two hidden dense layers.
        include_top: with it, the last map is averaged to a grid of 7x7 (as it has from
            224x224) or pooled by `pooling`, and goes through dense layers of 4,096, 4,096
            and `classes`. Without it, the last map or its global pooling comes out.
        pooling: None, "avg" or "max".
        norm_kwargs, activation, width, preprocess, data_format: as for `resnet`.
    """
    data_format = data_format or keras.config.image_data_format()
    _parts.one_of(name, "pooling", pooling, POOLINGS)
    _parts.check_numbers(
        name, classes=classes, width=width, include_top=include_top, dropout=dropout
    )
    inputs, x = _parts.image_input(
        input_shape,
        name=name,
        smallest=2 ** len(depths),
        data_format=data_format,
        preprocess=preprocess,
    )
    for i, (depth, size) in enumerate(zip(depths, filters, strict=True)):
        for j in range(depth):
            x = ConvNormAct(
                _parts.scaled(size, width),
                norm=norm,
                norm_kwargs=norm_kwargs,
                activation=activation,
                use_bias=True,
                data_format=data_format,
                name=f"stage_{i + 1}_conv_{j + 1}",
            )(x)
        x = keras.layers.MaxPooling2D(2, data_format=data_format, name=f"stage_{i + 1}_pool")(x)
    if include_top:
        x = dense_top(
            x,
            grid=7,
            hidden=_parts.scaled(4096, width),
            classes=classes,
            activation=activation,
            dropout=dropout,
            pooling=pooling,
            data_format=data_format,
        )
    else:
        x = _parts.pool(x, pooling, data_format)
    return keras.Model(inputs, x, name=name)


def _vgg(name: str, column: str, *depths: int) -> Any:
    return register(
        name,
        vgg,
        source=f"Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, {column}",
        depths=depths,
        filters=(64, 128, 256, 512, 512),
    )


vgg11 = _vgg("vgg11", "A", 1, 1, 2, 2, 2)
vgg13 = _vgg("vgg13", "B", 2, 2, 2, 2, 2)
vgg16 = _vgg("vgg16", "D", 2, 2, 3, 3, 3)
vgg19 = _vgg("vgg19", "E", 2, 2, 4, 4, 4)
