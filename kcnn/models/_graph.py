"""What the graph of any Keras model says: where one tensor is all, where its top begins."""

import re
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["Segment", "body_of", "channel_axis_of", "is_functional", "segments"]

FORMATS = ("channels_last", "channels_first")
# A label inside layer names that says which block they belong to, as in
# "block3a_dwconv", "conv4_block2_1_bn", "v2_stack_0_block1_1_conv", "block_12_expand".
_LABEL = re.compile(r"(.*block_?\d+[a-z]?(?=_)|expanded_conv(?:_\d+)?(?=_))")


@dataclass(frozen=True)
class Segment:
    """Layers between two places where one tensor carries everything; `output` is the second."""

    layers: tuple[keras.layers.Layer, ...]
    output: Any


def is_functional(model: Any) -> bool:
    """Whether the model has a graph of layers: functional, or a built Sequential."""
    return bool(getattr(graph_of(model), "_nodes_by_depth", None))


def graph_of(model: Any) -> Any:
    """The functional model behind `model`; a Sequential keeps one inside."""
    return getattr(model, "_functional", None) or model


def segments(model: keras.Model) -> list[Segment]:
    """The model cut wherever a single tensor is alive, in the order of computation.

    A cut lies between plain layers and between residual blocks, never across a shortcut;
    neighbours whose names carry the same block label are one segment.
    """
    graph: Any = graph_of(model)
    depths = sorted(graph._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in graph._nodes_by_depth[depth]]
    last_use = {id(tensor): i for i, node in enumerate(nodes) for tensor in node.input_tensors}
    for tensor in graph.outputs:
        last_use.setdefault(id(tensor), len(nodes))
    found: list[Segment] = []
    layers: list[keras.layers.Layer] = []
    seen: set[int] = set()
    alive: dict[int, Any] = {}
    for i, node in enumerate(nodes):
        layer = node.operation
        is_new = isinstance(layer, keras.layers.Layer) and id(layer) not in seen
        if is_new and not isinstance(layer, keras.layers.InputLayer):
            seen.add(id(layer))
            layers.append(layer)
        alive |= {id(tensor): tensor for tensor in node.outputs}
        alive = {key: tensor for key, tensor in alive.items() if last_use.get(key, -1) > i}
        if len(alive) == 1 and layers:
            found.append(Segment(tuple(layers), *alive.values()))
            layers = []
    if layers:
        found.append(Segment(tuple(layers), graph.outputs[0]))
    return _joined(found)


def _joined(found: list[Segment]) -> list[Segment]:
    joined: list[Segment] = []
    waiting: list[Segment] = []  # without weights, so without a label: what follows decides
    for segment in found:
        label = _label(segment)
        if not any(layer.weights for layer in segment.layers):
            waiting.append(segment)
        elif joined and label is not None and label == _label(joined[-1]):
            layers = [layer for part in (joined.pop(), *waiting, segment) for layer in part.layers]
            joined.append(Segment(tuple(layers), segment.output))
            waiting = []
        else:
            joined += [*waiting, segment]
            waiting = []
    return joined + waiting


def _label(segment: Segment) -> str | None:
    weighted = [layer for layer in segment.layers if layer.weights]
    labels = {match[1] if (match := _LABEL.match(layer.name)) else None for layer in weighted}
    return labels.pop() if len(labels) == 1 else None


def body_of(model: Any, features: str | None = None, *, who: str) -> keras.Model:
    """`model` up to its features: without its top, if it has one.

    A top is the last layer with weights when it is dense (or a convolution on a single
    pixel) and what comes out is (batch, classes). `features` names another layer to stop at.

    Raises:
        ValueError: the model is not built, has no graph to cut, or no such layer.
    """
    outputs = getattr(model, "outputs", None)
    if not isinstance(model, keras.Model) or not is_functional(model) or not outputs:
        raise ValueError(
            f"{who}: the model must be a built Keras model with known inputs, functional or "
            f"Sequential. Received: {model!r}; wrap it as keras.Model(inputs, model(inputs))."
        )
    inputs = graph_of(model).input
    if features is not None:
        names = [layer.name for layer in model.layers]
        if features not in names:
            raise ValueError(
                f"{who}: {model.name} has no layer {features!r}; its last ones are "
                f"{', '.join(names[-5:])}."
            )
        return keras.Model(inputs, model.get_layer(features).output, name="body")
    output = outputs[0]
    if len(outputs) > 1:
        raise ValueError(
            f"{who}: {model.name} gives several outputs; name the layer to take by features=."
        )
    if len(output.shape) == 2:
        weighted = [layer for layer in model.layers if layer.weights]
        top: Any = weighted[-1] if weighted else None
        if isinstance(top, keras.layers.Dense) or _is_pointwise_top(top):
            output = top.input
    return keras.Model(inputs, output, name="body")


def _is_pointwise_top(layer: Any) -> bool:
    if not isinstance(layer, keras.layers.Conv2D) or isinstance(
        layer, keras.layers.DepthwiseConv2D
    ):
        return False
    shape = layer.input.shape
    return 1 in (shape[1], shape[2]) and layer.kernel_size == (1, 1)


def channel_axis_of(tensor: Any, *, who: str) -> int:
    """1 or -1: the axis of the channels in a model's symbolic output, read off its graph.

    The nearest layer before it that has a data format says so.

    Raises:
        ValueError: the axes are permuted on the way, so that nothing says which is which.
    """
    layer = _formatted(tensor, who)
    if layer is None:
        return -1 if keras.config.image_data_format() == "channels_last" else 1
    return -1 if layer.data_format == "channels_last" else 1


def _formatted(tensor: Any, who: str) -> Any:
    """The nearest layer with a data format that `tensor` comes from, or None."""
    waiting, seen = [tensor], set()
    while waiting:
        current = waiting.pop(0)
        operation, node_index = current._keras_history[:2]
        if id(current) in seen or not operation._inbound_nodes:
            continue
        seen.add(id(current))
        if getattr(operation, "data_format", None) in FORMATS:
            return operation
        if is_functional(operation):
            inner = _formatted(graph_of(operation).outputs[0], who)
            if inner is not None:
                return inner
        if isinstance(operation, keras.layers.Permute) or type(operation).__name__ in (
            "Transpose",
            "Moveaxis",
            "Swapaxes",
        ):
            raise ValueError(
                f"{who}: {operation.name!r} permutes the axes, so it is unclear which one holds "
                "the channels; say data_format='channels_last' or 'channels_first'."
            )
        waiting.extend(operation._inbound_nodes[node_index].input_tensors)
    return None
