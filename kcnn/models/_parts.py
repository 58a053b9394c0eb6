"""What every family shares: the input, the stem, the head, and the checks of these."""

import numbers
from collections.abc import Callable
from typing import Any

import keras

from kcnn.layers import ConvNormAct
from kcnn.layers import norm as make_norm
from kcnn.models._options import Activation, Options, Pooling

__all__ = [
    "classifier",
    "drop_rates",
    "finish",
    "imagenet_stem",
    "model_of",
    "norm",
    "pool",
    "start",
]


def start(options: Options, *, name: str, smallest: int) -> tuple[Any, Any]:
    """The symbolic input and what the network sees of it (after `preprocess`).

    Args:
        options: of which the input's and the preprocessing are used.
        name: of the network, for the messages.
        smallest: least height and width in pixels that survive the downsampling.

    Raises:
        ValueError: for anything but three sizes, no channels, or images too small.
    """
    tensor = options.input_tensor
    shape = options.input_shape if tensor is None else tensor.shape[1:]
    _check_image(shape, name=name, smallest=smallest, layout=options.layout)
    if tensor is None:
        inputs = x = keras.Input(shape, name="image")
    else:
        sources = keras.utils.get_source_inputs(tensor)
        inputs, x = sources[0] if len(sources) == 1 else sources, tensor
    return inputs, x if options.preprocess is None else options.preprocess(x)


def _check_image(input_shape: Any, *, name: str, smallest: int, layout: str) -> None:
    shape = tuple(input_shape)
    first = layout == "channels_first"
    order = "(channels, height, width)" if first else "(height, width, channels)"
    whole = all(size is None or isinstance(size, numbers.Integral) for size in shape)
    if len(shape) != 3 or not whole:
        raise ValueError(
            f"{name}: input_shape must be {order} without the batch. Received: {input_shape}."
        )
    channels = shape[0 if first else 2]
    if channels is None or channels < 1:
        raise ValueError(
            f"{name}: input_shape must say how many channels the images have, as {order}. "
            f"Received: {input_shape}; use 1 for gray and 3 for color."
        )
    for size in shape[1:] if first else shape[:2]:
        if size is not None and size < smallest:
            raise ValueError(
                f"{name}: images of {input_shape}, {order}, are too small for its downsampling; "
                f"height and width must be at least {smallest} pixels. Enlarge the images or take "
                "a network that shrinks less, such as resnet20 or one with stem='cifar'."
            )


def finish(
    options: Options,
    inputs: Any,
    x: Any,
    *,
    name: str,
    before_logits: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """Pooling, what stands `before_logits`, classifier as `options` want them, and the model."""
    if not options.include_top:
        return model_of(options, inputs, pool(x, options.pooling, options.layout), name=name)
    x = pool(x, options.pooling or "avg", options.layout)
    x = x if before_logits is None else before_logits(x)
    x = classifier(x, options.classes, options.dropout, options.classifier_activation)
    return model_of(options, inputs, x, name=name)


def model_of(options: Options, inputs: Any, outputs: Any, *, name: str) -> keras.Model:
    """The model under the user's name, or the network's with a number where that is taken."""
    if options.name is not None:
        return keras.Model(inputs, outputs, name=options.name)
    earlier = keras.backend.get_uid(name) - 1
    return keras.Model(inputs, outputs, name=f"{name}_{earlier}" if earlier else name)


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


def norm(
    options: Options,
    x: Any,
    *,
    name: str,
    activation: Activation = None,
    data_format: str | None = None,
) -> Any:
    """A normalization as `options` want it, by itself."""
    layout = data_format or options.layout
    layer = make_norm(
        options.norm,
        channels=x.shape[1 if layout == "channels_first" else -1],
        data_format=layout,
        activation=activation,
        name=name,
        **(options.norm_kwargs or {}),
    )
    return layer(x)


def pool(x: Any, pooling: Pooling, data_format: str) -> Any:
    """Global "avg" or "max" pooling, or `x` itself for None."""
    if pooling is None:
        return x
    layers: dict[str, Callable[..., Any]] = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }
    return layers[pooling](data_format=data_format, name="pool")(x)


def classifier(x: Any, classes: int, dropout: float, activation: Any = None) -> Any:
    """Dropout and the linear layer: (batch, features) to float32 logits (batch, classes).

    Its weights start small (standard deviation 0.01), so that the first loss is log(classes).
    An `activation` follows as a layer of its own.
    """
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="logits",
    )(x)
    if activation in (None, "linear"):
        return x
    return keras.layers.Activation(activation, dtype="float32", name="probabilities")(x)
