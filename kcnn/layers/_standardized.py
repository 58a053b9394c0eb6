"""Convolution with standardized weights."""

from typing import Any

import keras
from keras import ops

from kcnn.layers._typed import registered

__all__ = ["StandardizedConv2D"]

EPSILON = 1e-6  # as in timm's and big_vision's networks


@registered
class StandardizedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` whose kernel has mean 0 and variance 1 for each filter.

    (batch, h, w, c) -> (batch, h', w', filters). It takes the place of `Conv2D` in front of a
    group normalization, which then trains as well on few images a device as batch
    normalization on many. The weights are standardized in every call, in float32.
    Qiao et al., arXiv:1903.10520. Arguments as for `keras.layers.Conv2D`.

    >>> StandardizedConv2D(16, 3)(keras.ops.ones((1, 8, 8, 3))).shape
    TensorShape([1, 6, 6, 16])
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        weights = ops.cast(kernel, keras.backend.result_type(kernel.dtype, "float32"))
        axes = tuple(range(len(kernel.shape) - 1))
        centred = weights - ops.mean(weights, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        weights = centred * ops.rsqrt(variance + EPSILON)
        return super().convolution_op(inputs, ops.cast(weights, kernel.dtype))
