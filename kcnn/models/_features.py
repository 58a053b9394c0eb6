"""The features of a network at every size of its maps, and another head in place of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kcnn.models._graph import Segment, body_of, channel_axis_of, graph_of, is_functional, segments
from kcnn.models._parts import classifier, pool

__all__ = ["Feature", "feature_info", "features", "reset_classifier"]

# What kcnn's families call the layers that follow the last stage and belong to the classifier.
_AFTER_THE_STAGES = ("norm", "norm_activation", "head", "head_activation", "grid")
_BEFORE_A_STAGE = re.compile(r"stage_\d+_norm")  # a norm that belongs to the convolution after it
_BORDERS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
_POOLS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
_ENLARGED = 1.5  # times the size before: no padding does that
_SIDE = 512  # pixels of the image on which free sizes are worked out


@dataclass(frozen=True)
class Feature:
    """One map of a network: `layer` gives it, `strides` pixels of the image lie between two of
    its own in either direction, and it has `channels`.

    >>> feature_info(kcnn.create_model("resnet20"))[-1]
    Feature(layer='stage_3_block_3', strides=4, channels=64)
    """

    layer: str
    strides: int
    channels: int


def feature_info(model: keras.Model) -> tuple[Feature, ...]:
    """The last map at every size, from fine to coarse, of any functional or Sequential model.

    Of a model that `features` made, those that come out, in their order.

    In kcnn's networks the names stay: `image` the input, `preprocessing`, `stem`,
    `stage_{i}_block_{j}` (VGG: `stage_{i}_conv_{j}` and `stage_{i}_pool`, AlexNet: `conv_{i}` and
    `pool_{i}`), `stage_{i}_norm` and `stage_{i}_down` between ConvNeXt's stages, `norm` a last
    normalization, `head` a last 1x1 convolution, `pool`, `dropout`, `logits`, `probabilities`.

    >>> import kcnn
    >>> [f.strides for f in kcnn.models.feature_info(kcnn.create_model("resnet18"))]
    [2, 4, 8, 16, 32]

    Raises:
        ValueError: the model has no graph, or no maps in it.
    """
    return tuple(feature for feature, _ in _features(model))


def features(model: keras.Model, out_indices: Sequence[int] | None = None) -> keras.Model:
    """`model` up to its maps: images to a list of maps, the layers shared with `model`.

    Args:
        model: functional or Sequential, with or without its top: kcnn's, keras.applications' or
            your own.
        out_indices: which of `feature_info(model)`, all if left out; -1 is the coarsest.

    Raises:
        ValueError: the model has no maps, or an index is out of range.

    >>> [map.shape[1] for map in features(kcnn.create_model("resnet18")).outputs]
    [112, 56, 28, 14, 7]
    """
    found = _features(model)
    indices = range(len(found)) if out_indices is None else out_indices
    if not len(indices) or not all(-len(found) <= i < len(found) for i in indices):
        known = ", ".join(f"{i}: {f.layer} (1/{f.strides})" for i, (f, _) in enumerate(found))
        raise ValueError(
            f"features: out_indices must name some of {model.name}'s maps, {known}. "
            f"Received: {out_indices!r}."
        )
    maps = [found[i][1] for i in indices]
    return keras.Model(graph_of(model).input, maps, name=f"{model.name}_features")


def reset_classifier(model: keras.Model, classes: int) -> keras.Model:
    """`model` with a new linear layer for `classes` in place of its last one; the rest is shared.

    The new model gives float32 logits; what followed the old layer, such as a softmax, is gone.
    With 0 classes the pooled features come out.

    Raises:
        ValueError: the model is not built, or classes is below 0.

    >>> backbone = kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3))
    >>> reset_classifier(backbone, 3).output_shape
    (None, 3)
    """
    if classes < 0:
        raise ValueError(f"reset_classifier: classes must be at least 0. Received: {classes!r}.")
    body = body_of(model, who="reset_classifier")
    x = body.outputs[0]
    if len(x.shape) == 4:
        first = channel_axis_of(x, who="reset_classifier") == 1
        x = pool(x, "avg", "channels_first" if first else "channels_last")
    if classes:
        x = classifier(x, classes, 0.0)
    return keras.Model(graph_of(model).input, x, name=model.name)


def _features(model: Any) -> list[tuple[Feature, Any]]:
    """Each feature and its tensor."""
    if not is_functional(model):
        raise ValueError(
            f"features: {getattr(model, 'name', model)!r} has no graph of layers; it must be a "
            "built functional or Sequential Keras model."
        )
    graph = graph_of(model)
    last: dict[int, tuple[Feature, Any]] = {}
    for segment, strides, channels in _maps(graph):
        layer = segment.output._keras_history[0]
        if layer.name not in _AFTER_THE_STAGES and not _BEFORE_A_STAGE.fullmatch(layer.name):
            last.pop(strides, None)
            last[strides] = (Feature(layer.name, strides, channels), segment.output)
    if len(graph.outputs) > 1:
        by_tensor = {id(tensor): pair for pair in last.values() for tensor in [pair[1]]}
        chosen = [by_tensor[id(t)] for t in graph.outputs if id(t) in by_tensor]
        if len(chosen) == len(graph.outputs):
            return chosen
    if not last:
        raise ValueError(
            f"features: {model.name} gives no maps (batch, height, width, channels) after a "
            "convolution."
        )
    return list(last.values())


def _maps(graph: Any) -> list[tuple[Segment, int, int]]:
    """The segments that end in a map behind a convolution, with its strides and channels."""
    cuts = segments(graph)
    shapes = _shapes(graph, [segment.output for segment in cuts])
    (image,) = _shapes(graph, graph.inputs[:1])
    found = []
    strides, side, learned = 1, 0, False
    for segment, shape in zip(cuts, shapes, strict=True):
        if len(shape) != 4:
            continue
        axis = channel_axis_of(segment.output, who="features")
        size = max(shape[2:] if axis == 1 else shape[1:3])
        side = side or max(image[2:] if axis == 1 else image[1:3])
        learned = learned or any(
            len(w.shape) == 4 for layer in segment.layers for w in layer.weights
        )
        if all(isinstance(layer, _BORDERS) for layer in segment.layers):
            continue  # padding for the next one
        if size > _ENLARGED * side or all(isinstance(layer, _POOLS) for layer in segment.layers):
            break  # a decoder begins, or a classifier of convolutions
        strides *= max(1, round(side / size))
        side = size
        if learned:
            found.append((segment, strides, shape[axis]))
    return found


def _shapes(graph: Any, tensors: list[Any]) -> list[tuple[int, ...]]:
    """The shapes of symbolic tensors, free sizes worked out for a large image."""
    if all(None not in tensor.shape[1:] for tensor in tensors):
        return [tuple(tensor.shape) for tensor in tensors]
    images = [
        keras.KerasTensor([1 if i == 0 else size or _SIDE for i, size in enumerate(t.shape)])
        for t in graph.inputs
    ]
    probe = keras.Model(graph.inputs, tensors)
    specs = probe.compute_output_spec(images if len(images) > 1 else images[0])
    return [tuple(spec.shape) for spec in keras.tree.flatten(specs)]
