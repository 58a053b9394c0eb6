"""A new head on a frozen backbone, and that head alone as a model."""

import numbers
from typing import Any
from weakref import WeakKeyDictionary

import keras

from kcnn.layers._checks import one_of
from kcnn.models._graph import FORMATS, body_of, channel_axis_of
from kcnn.models._parts import classifier
from kcnn.transfer._inference import InferenceBody

__all__ = ["backbone_of", "feature_model", "head_of", "linear_probe"]

_POOLS = {"avg": "Average", "max": "Max"}
_FEATURE_MODELS: WeakKeyDictionary[keras.Model, keras.Model] = WeakKeyDictionary()


def linear_probe(
    backbone: keras.Model,
    classes: int,
    *,
    input_shape: tuple[int | None, ...] | None = None,
    preprocess: keras.layers.Layer | None = None,
    features: str | None = None,
    pooling: str = "avg",
    data_format: str | None = None,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """A model whose backbone is frozen and whose head is new: images to float32 logits.

    The backbone's layers are shared, not copied, and are set untrainable. They run in
    inference mode in `fit`, too: BatchNorm uses and keeps its statistics, dropout is off.

    Args:
        backbone: any built functional or Sequential Keras model, with or without its top.
        classes: number of new classes.
        input_shape: of the images that come in; the backbone's if left out.
        preprocess: layer or model from those images to what the backbone expects.
        features: name of the layer to take the features from; found if left out.
        pooling: "avg" or "max" over space, where the features are maps.
        data_format: of those maps, "channels_last" or "channels_first"; read off the
            backbone's layers if left out.
        dropout: rate before the new head.
        name: of the model.

    Raises:
        ValueError: a backbone that is not built, unknown layer or pooling, classes below 1.

    >>> backbone = kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3))
    >>> linear_probe(backbone, 5).output_shape
    (None, 5)
    """
    one_of("linear_probe", "pooling", pooling, tuple(_POOLS))
    one_of("linear_probe", "data_format", data_format, (None, *FORMATS))
    if not isinstance(classes, numbers.Integral) or classes < 1:
        raise ValueError(f"linear_probe: classes must be at least 1. Received: {classes!r}.")
    body = body_of(backbone, features, who="linear_probe")
    body.trainable = False
    shape = tuple(input_shape) if input_shape is not None else tuple(body.inputs[0].shape[1:])
    inputs = keras.Input(shape, name="image")
    x = inputs if preprocess is None else preprocess(inputs)
    x = InferenceBody(body, name="backbone")(x)
    rank = len(x.shape)
    if rank > 2:
        pool = getattr(keras.layers, f"Global{_POOLS[pooling]}Pooling{rank - 2}D", None)
        if pool is None:
            raise ValueError(
                f"linear_probe: {backbone.name} gives features of shape {x.shape}; they must be "
                "(batch, channels) or maps. Name another layer by features=."
            )
        if data_format is None:
            axis = channel_axis_of(body.outputs[0], who="linear_probe")
            data_format = "channels_first" if axis == 1 else "channels_last"
        x = pool(data_format=data_format, name="pool")(x)
    logits = classifier(x, classes, dropout)
    return keras.Model(inputs, logits, name=name or f"{backbone.name}_probe")


def backbone_of(model: Any, who: str) -> keras.Model:
    """The frozen network inside a model of `linear_probe`; ValueError if it is none."""
    return _inference_body(model, who).body


def feature_model(model: keras.Model, who: str) -> keras.Model:
    """Images to the features that the head sees, of a model of `linear_probe`.

    The same one each time, so that it is traced once.
    """
    last = _seen_by_head(model, who)
    if model not in _FEATURE_MODELS:
        name = f"{model.name}_features"
        _FEATURE_MODELS[model] = keras.Model(model.input, last.output, name=name)
    return _FEATURE_MODELS[model]


def head_of(model: keras.Model) -> keras.Model:
    """The head of a model of `linear_probe` alone: features to logits, its layers shared.

    What the head learns on cached features, `model` has learned.

    Raises:
        ValueError: not a model of `linear_probe`.

    >>> body = kcnn.create_model("resnet8", classes=10, input_shape=(8, 8, 3))
    >>> probe = kcnn.transfer.linear_probe(body, 10)
    >>> kcnn.transfer.head_of(probe).input_shape
    (None, 64)
    """
    last = _seen_by_head(model, "head_of")
    features = last.output
    inputs = keras.Input(tuple(features.shape[1:]), dtype=features.dtype, name="features")
    x: Any = inputs
    for layer in model.layers[model.layers.index(last) + 1 :]:
        x = layer(x)
    return keras.Model(inputs, x, name=f"{model.name}_head")


def _inference_body(model: Any, who: str) -> Any:
    for layer in getattr(model, "layers", []):
        if isinstance(layer, InferenceBody):
            return layer
    raise ValueError(
        f"{who}: {getattr(model, 'name', model)!r} was not made by linear_probe; it has no "
        "backbone inside."
    )


def _seen_by_head(model: Any, who: str) -> Any:
    """The layer whose output the head sees: the pooling or, where there is none, the backbone."""
    body = _inference_body(model, who)
    return next((layer for layer in model.layers if layer.name == "pool"), body)
