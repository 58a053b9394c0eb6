"""What every family shares: the input, the stem, the widths, the head, and their checks."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.models._registry import nearest

__all__ = ["classifier", "drop_rates", "image_input", "imagenet_stem", "one_of", "pool", "scaled"]


def image_input(
    input_shape: Sequence[int | None],
    *,
    name: str,
    smallest: int,
    data_format: str,
    preprocess: keras.layers.Layer | None = None,
) -> tuple[Any, Any]:
    """The symbolic input and what the network sees of it (after `preprocess`).

    Args:
        input_shape: (height, width, channels), channels first if `data_format` says so;
            height and width may be None.
        name: of the model, for the messages.
        smallest: least height and width in pixels that survive the downsampling.
        data_format: "channels_last" or "channels_first".
        preprocess: a layer that is applied first, or None.

    Raises:
        ValueError: for anything but three sizes, no channels, or images too small.
    """
    one_of(name, "data_format", data_format, ("channels_last", "channels_first"))
    shape = tuple(input_shape)
    order = "(channels, height, width)" if data_format == "channels_first" else ""
    order = order or "(height, width, channels)"
    whole = all(size is None or isinstance(size, numbers.Integral) for size in shape)
    if len(shape) != 3 or not whole:
        raise ValueError(
            f"{name}: input_shape must be {order} without the batch. Received: {input_shape}."
        )
    first = data_format == "channels_first"
    channels = shape[0 if first else 2]
    if channels is None or channels < 1:
        raise ValueError(
            f"{name}: input_shape must say how many channels the images have, as {order}. "
            f"Received: {input_shape}; use 1 for gray and 3 for color."
        )
    for size in shape[1:] if first else shape[:2]:
        if size is not None and size < smallest:
            raise ValueError(
                f"{name}: images of {input_shape} are too small for its downsampling; height "
                f"and width must be at least {smallest} pixels. Enlarge the images or take a "
                "network that shrinks less, such as resnet20 or one with stem='cifar'."
            )
    inputs = keras.Input(shape, name="image")
    return inputs, inputs if preprocess is None else preprocess(inputs)


def scaled(filters: int, width: float) -> int:
    """`filters * width`, rounded to a multiple of 4 (at least 4) unless width is 1."""
    return filters if width == 1 else max(4, 4 * round(filters * width / 4))


def check_numbers(
    name: str, *, classes: int, width: float, include_top: bool = True, **rates: float
) -> None:
    """Raise ValueError for fewer than one class, a width not above 0, a rate outside [0, 1)."""
    if include_top and not (isinstance(classes, numbers.Integral) and classes >= 1):
        raise ValueError(
            f"{name}: classes must be a whole number of at least 1. Received: {classes!r}."
        )
    if not width > 0:
        raise ValueError(f"{name}: width must be above 0. Received: {width!r}.")
    for key, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"{name}: {key} must be in [0, 1). Received: {rate!r}.")


def one_of(name: str, argument: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise ValueError, naming the nearest, unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(
            f"{name}: {argument} must be one of {', '.join(map(repr, allowed))}. "
            f"Received: {value!r}.{nearest(value, [a for a in allowed if a])}"
        )


def drop_rates(last: float, blocks: int) -> list[float]:
    """Stochastic depth that grows from 0 at the first block to `last` (arXiv:1603.09382)."""
    return [last * i / max(1, blocks - 1) for i in range(blocks)]


def imagenet_stem(x: Any, filters: int, **options: Any) -> Any:
    """7x7 convolution and 3x3 max pooling, stride 2 each: a quarter of the size.

    Zeros are padded on every side, as PyTorch and keras.applications do.
    """
    data_format = options["data_format"]
    x = ConvNormAct(filters, 7, strides=2, padding="symmetric", name="stem", **options)(x)
    x = keras.layers.ZeroPadding2D(1, data_format=data_format, name="stem_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, data_format=data_format, name="stem_pool")(x)


def pool(x: Any, pooling: str | None, data_format: str) -> Any:
    """Global "avg" or "max" pooling, or `x` itself for None."""
    if pooling is None:
        return x
    layers = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }
    return layers[pooling](data_format=data_format, name="pool")(x)


def classifier(x: Any, classes: int, dropout: float) -> Any:
    """Dropout and the linear layer: (batch, features) to float32 logits (batch, classes).

    Its weights start small (standard deviation 0.01), so that the first loss is log(classes).
    """
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="logits",
    )(x)
