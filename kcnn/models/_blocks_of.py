"""Cut any Keras model into blocks, from the image to the features, without names of its kind."""

import re
from typing import Any

import keras

__all__ = ["blocks_of", "features_of"]

# A label inside layer names that says which block they belong to, as in
# "block3a_dwconv", "conv4_block2_1_bn", "v2_stack_0_block1_1_conv", "block_12_expand".
_LABEL = re.compile(r"(.*block_?\d+[a-z]?(?=_)|expanded_conv(?:_\d+)?(?=_))")


def blocks_of(model: keras.Model) -> list[list[keras.layers.Layer]]:
    """The layers of `model` in groups that a single tensor connects, first to last.

    A cut lies wherever one tensor alone carries everything onwards: between plain layers
    and between residual blocks, never across a shortcut. Layers without a kernel (norms,
    activations, pooling) join the group before them, and neighbours whose names carry the
    same block label are one group. A model without a graph gives its layers one by one.
    """
    groups = _between_cuts(model) if hasattr(model, "_nodes_by_depth") else None
    if groups is None:
        groups = [[layer] for layer in model.layers]
    merged: list[list[keras.layers.Layer]] = []
    before: list[keras.layers.Layer] = []
    for group in groups:
        if not any(_has_kernel(layer) for layer in group):
            (merged[-1] if merged else before).extend(group)
        elif merged and _label(group) is not None and _label(group) == _label(merged[-1]):
            merged[-1].extend(group)
        else:
            merged.append([*before, *group])
            before = []
    if before:
        merged.append(before)
    return merged


def _between_cuts(model: Any) -> list[list[keras.layers.Layer]]:
    """Sweep over the graph in the order of computation and cut where one tensor is alive."""
    nodes = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]
    last_use = {id(tensor): len(nodes) for tensor in model.outputs}
    for i, node in enumerate(nodes):
        for tensor in node.input_tensors:
            last_use[id(tensor)] = max(i, last_use.get(id(tensor), 0))
    groups: list[list[keras.layers.Layer]] = [[]]
    seen: set[int] = set()
    alive: set[int] = set()
    for i, node in enumerate(nodes):
        layer = node.operation
        is_new = isinstance(layer, keras.layers.Layer) and id(layer) not in seen
        if is_new and not isinstance(layer, keras.layers.InputLayer):
            seen.add(id(layer))
            groups[-1].append(layer)
        alive.update(id(tensor) for tensor in node.outputs)
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > i}
        if len(alive) == 1:
            groups.append([])
    return [group for group in groups if group]


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)


def _label(group: list[keras.layers.Layer]) -> str | None:
    labels = {m[1] for layer in group if layer.weights and (m := _LABEL.match(layer.name))}
    weighted = [layer for layer in group if layer.weights]
    whole = len(labels) == 1 and all(_LABEL.match(layer.name) for layer in weighted)
    return labels.pop() if whole else None


def features_of(backbone: Any, features: str | None = None) -> keras.Model:
    """`backbone` up to its features: without its top, if it has one.

    A top is the last layer with weights when it is dense (or a convolution on a single
    pixel) and what comes out is (batch, classes). `features` names another layer to stop at.

    Raises:
        ValueError: the model is not built, has no graph to cut, or no such layer.
    """
    inputs, outputs = getattr(backbone, "inputs", None), getattr(backbone, "outputs", None)
    if not isinstance(backbone, keras.Model) or not inputs or not outputs:
        raise ValueError(
            "linear_probe: the backbone must be a built Keras model with known inputs, "
            f"functional or Sequential. Received: {backbone!r}; wrap it as "
            "keras.Model(inputs, backbone(inputs))."
        )
    if features is not None:
        names = [layer.name for layer in backbone.layers]
        if features not in names:
            raise ValueError(
                f"linear_probe: {backbone.name} has no layer {features!r}; its last ones are "
                f"{', '.join(names[-5:])}."
            )
        return keras.Model(inputs, backbone.get_layer(features).output, name="body")
    output = outputs[0]
    if len(outputs) > 1:
        raise ValueError(
            f"linear_probe: {backbone.name} gives several outputs; name the layer to take by "
            "features=."
        )
    if len(output.shape) == 2:
        weighted = [layer for layer in backbone.layers if layer.weights]
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
