"""Cut any Keras model into blocks, from the image to the features, without names of its kind."""

import keras

from kcnn.models._graph import is_functional, segments

__all__ = ["Block", "blocks_of"]

Block = list[keras.layers.Layer]


def blocks_of(model: keras.Model) -> list[Block]:
    """The layers of `model` in groups that a single tensor connects, first to last.

    A cut lies wherever one tensor alone carries everything onwards: between plain layers
    and between residual blocks, never across a shortcut. Layers without a kernel (norms,
    activations, pooling) join the group before them, and neighbours whose names carry the
    same block label are one group. A model without a graph gives its layers one by one; one
    that is a single other model inside is cut as that one.

    >>> len(blocks_of(kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 3)))) > 9
    True
    """
    if is_functional(model):
        groups = [list(segment.layers) for segment in segments(model)]
    else:
        groups = [[layer] for layer in model.layers]
    merged: list[Block] = []
    before: Block = []
    for group in groups:
        if not any(_has_kernel(layer) for layer in group):
            (merged[-1] if merged else before).extend(group)
        else:
            merged.append([*before, *group])
            before = []
    if before:
        merged.append(before)
    kernels = [layer for group in merged for layer in group if _has_kernel(layer)]
    if len(kernels) == 1 and is_functional(kernels[0]):
        return blocks_of(kernels[0])
    return merged


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)
