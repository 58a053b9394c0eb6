"""Residual sums: which layer ends the branch that is added to what skips it."""

from typing import Any

import keras

from kcnn.callbacks.doctor.program.graph import kernel_of
from kcnn.callbacks.keras_internals import (
    calls_of,
    followers_of,
    functional_of,
    operations_of,
    origin_of,
)

__all__ = ["branch_ends"]


def branch_ends(model: keras.Model) -> list[Any]:
    """The last layer of the branch of each residual sum; none where no graph is known."""
    found = []
    for operation in operations_of(functional_of(model)):
        if type(operation).__name__ != "Add" or not calls_of(operation):
            continue
        inputs = calls_of(operation)[0].input_tensors
        kernels = sorted(((_kernels(tensor), at) for at, tensor in enumerate(inputs)), reverse=True)
        origin = origin_of(inputs[kernels[0][1]])
        if len(kernels) > 1 and kernels[0][0] > kernels[1][0] and origin is not None:
            found += [origin[0]] if isinstance(origin[0], keras.layers.Layer) else []
    return found


def _kernels(tensor: Any) -> int:
    """Layers with a kernel between a tensor and where its path forks or joins."""
    origin, count = origin_of(tensor), 0
    while origin is not None:
        operation, inputs, _ = origin
        if len(inputs) != 1 or len({id(after) for after in followers_of(operation)}) > 1:
            break
        count += kernel_of(operation) is not None
        origin = origin_of(inputs[0])
    return count
