"""Squeeze-and-excitation."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kcnn.initializers import KaimingNormal
from kcnn.layers._typed import Activation, BaseArguments, Shape, registered

if TYPE_CHECKING:
    from kcnn.layers._typed import Unpack

__all__ = ["SqueezeExcitation"]


@registered
class SqueezeExcitation(keras.layers.Layer):
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
        data_format: str | None = None,
        kernel_regularizer: Any = None,
        **kwargs: "Unpack[BaseArguments]",
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.activation = keras.activations.get(activation)
        self.gate = keras.activations.get(gate)
        self.data_format = data_format or keras.config.image_data_format()
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
        first = self.data_format == "channels_first"
        channels: Any = input_shape[1 if first else -1]
        self.expand = self._conv("expand", channels)
        batch = input_shape[0]
        self.reduce.build((batch, channels, 1, 1) if first else (batch, 1, 1, channels))
        hidden = self.filters
        self.expand.build((batch, hidden, 1, 1) if first else (batch, 1, 1, hidden))

    def call(self, inputs: Any) -> Any:
        axes = (2, 3) if self.data_format == "channels_first" else (1, 2)
        x = ops.mean(inputs, axes, keepdims=True)
        x = self.activation(self.reduce(x))
        return inputs * self.gate(self.expand(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
            "gate": keras.activations.serialize(self.gate),
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
