"""Squeeze-and-excitation."""

from typing import Any

import keras
from keras import ops

from kcnn.initializers import KaimingNormal
from kcnn.layers._image import ImageLayer
from kcnn.layers._typed import Activation, ImageArguments, Shape, Unpack, registered

__all__ = ["SqueezeExcitation"]


@registered
class SqueezeExcitation(ImageLayer):
    """x * gate(expand(activation(reduce(mean of x over space)))), a weight for each channel.

    (batch, h, w, c) to the same, or with the channels first. Sub-layers: `reduce` and
    `expand`, 1x1 convolutions with a bias. Hu, Shen & Sun, arXiv:1709.01507.

    Args:
        filters: channels between the two.
        activation: between the two.
        gate: "sigmoid", or "hard_sigmoid" as in MobileNetV3.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_regularizer: of both.

    >>> SqueezeExcitation(2)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 8, 8, 8])
    """

    def __init__(
        self,
        filters: int,
        *,
        activation: Activation = "relu",
        gate: Activation = "sigmoid",
        kernel_regularizer: Any = None,
        **kwargs: Unpack[ImageArguments],
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.activation = keras.activations.get(activation)
        self.gate = keras.activations.get(gate)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.reduce = self._conv("reduce", filters)
        self.expand: Any = None

    def _conv(self, name: str, filters: int) -> Any:
        return keras.layers.Conv2D(
            filters,
            1,
            data_format=self.data_format,
            kernel_initializer=KaimingNormal("linear" if name == "expand" else "relu"),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Shape) -> None:
        sizes: list[Any] = [1 if i in self.space_axes else n for i, n in enumerate(input_shape)]
        self.expand = self._conv("expand", sizes[self.channel_axis])
        self.reduce.build(tuple(sizes))
        sizes[self.channel_axis] = self.filters
        self.expand.build(tuple(sizes))

    def call(self, inputs: Any) -> Any:
        x = ops.mean(inputs, self.space_axes, keepdims=True)
        x = self.activation(self.reduce(x))
        return inputs * self.gate(self.expand(x))
