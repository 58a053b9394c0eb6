"""Convolution, normalization and activation as one layer."""

from typing import Any, get_args

import keras

from kcnn.initializers import KaimingNormal, Mode, gain
from kcnn.layers._checks import one_of
from kcnn.layers._normed import NormedLayer
from kcnn.layers._standardized import StandardizedConv2D
from kcnn.layers._typed import NormedArguments, Padding, Shape, Unpack, registered
from kcnn.layers.group_norm import GroupNorm, InstanceNorm

__all__ = ["ConvNormAct", "kaiming_for"]


@registered
class ConvNormAct(NormedLayer):
    """activation(norm(conv(x)) [+ residual]): 2-D convolution, norm, activation.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters), or with the
    channels first. Sub-layers: `conv`, `norm` (None for norm="none").

    Args:
        filters: output channels.
        kernel_size: side of the square kernel, in pixels.
        strides: step in pixels.
        groups: into which input and output channels are split; `filters` of them, with as
            many input channels, make a depthwise convolution.
        padding: "same" (Keras: the odd pixel goes to the bottom right), "symmetric"
            (kernel_size // 2 zeros on every side, as PyTorch and Caffe networks have it;
            different from "same" only for strides > 1), or "valid".
        norm: a kind that `kcnn.layers.norm` knows.
        norm_kwargs: dict of plain values for the normalization's constructor.
        activation: a Keras activation or None.
        use_bias: whether the convolution has a bias; None: only without a norm.
        weight_standardization: see `StandardizedConv2D`; not of depthwise ones.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_initializer: None for `KaimingNormal(activation, mode="fan_out")`.
        kernel_regularizer: of the convolution.

    Call arguments:
        inputs: the image batch.
        residual: tensor of the output's shape, added before the activation.

    Raises:
        ValueError: for an unknown padding or norm, groups that do not divide the filters,
            or at build a depthwise one with another number of input channels.

    >>> ConvNormAct(16, strides=2, norm="group")(keras.ops.ones((1, 8, 8, 3))).shape
    TensorShape([1, 4, 4, 16])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        strides: int = 1,
        groups: int = 1,
        padding: Padding = "same",
        use_bias: bool | None = None,
        weight_standardization: bool = False,
        kernel_initializer: Any = None,
        **kwargs: Unpack[NormedArguments],
    ):
        super().__init__(**kwargs)
        one_of(f"ConvNormAct {self.name!r}", "padding", padding, get_args(Padding))
        if groups < 1 or filters % groups:
            raise ValueError(
                f"ConvNormAct {self.name!r}: groups={groups} must divide filters={filters}."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.groups = groups
        self.padding = padding
        self.use_bias = use_bias
        self.weight_standardization = weight_standardization
        self.kernel_initializer = (
            keras.initializers.get(kernel_initializer)
            if kernel_initializer is not None
            else kaiming_for(self.activation, groups=groups, depthwise=self.depthwise)
        )
        self.supports_masking = True
        self.pad: Any = None
        if padding == "symmetric" and strides > 1 and kernel_size > 1:
            self.pad = keras.layers.ZeroPadding2D(
                kernel_size // 2, data_format=self.data_format, dtype=self.dtype_policy, name="pad"
            )
        self.conv = self._convolution()
        self.norm: Any = None
        if self.norm_kind != "none":
            self.norm = self._norm("norm", filters)
        self._folds = isinstance(self.norm, GroupNorm | InstanceNorm)
        if self._folds:
            self.norm.activation = self.activation

    @property
    def depthwise(self) -> bool:
        """Whether every channel has a group of its own."""
        return self.groups == self.filters > 1

    def _convolution(self) -> Any:
        common: dict[str, Any] = {
            "strides": self.strides,
            "padding": "valid" if self.pad is not None or self.padding == "valid" else "same",
            "use_bias": self.norm_kind == "none" if self.use_bias is None else self.use_bias,
            "data_format": self.data_format,
            "dtype": self.dtype_policy,
            "name": "conv",
        }
        if self.depthwise:
            return keras.layers.DepthwiseConv2D(
                self.kernel_size,
                depthwise_initializer=self.kernel_initializer,
                depthwise_regularizer=self.kernel_regularizer,
                **common,
            )
        cls = StandardizedConv2D if self.weight_standardization else keras.layers.Conv2D
        return cls(
            self.filters,
            self.kernel_size,
            groups=self.groups,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            **common,
        )

    def build(self, input_shape: Shape) -> None:
        if self.depthwise and input_shape[self.channel_axis] != self.filters:
            raise ValueError(
                f"ConvNormAct {self.name!r}: depthwise (groups={self.groups}), so it takes as "
                f"many channels as it has filters. Received an input of shape {input_shape}."
            )
        padded = self._padded_shape(input_shape)
        self.conv.build(padded)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(padded))

    def call(self, inputs: Any, residual: Any = None, training: bool | None = None) -> Any:
        x = self.conv(inputs if self.pad is None else self.pad(inputs))
        if self._folds:
            return self.norm(x, residual=residual)
        if self.norm is not None:
            x = self.norm(x)
        if residual is not None:
            x = x + residual
        return self.activation(x)

    def _padded_shape(self, shape: Shape) -> Any:
        return shape if self.pad is None else self.pad.compute_output_shape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return self.conv.compute_output_shape(self._padded_shape(input_shape))


def kaiming_for(
    activation: Any, *, mode: Mode = "fan_out", groups: int = 1, depthwise: bool = False
) -> KaimingNormal:
    """Kaiming normal weights with the gain of `activation`, relu's if unknown."""
    name = getattr(keras.activations.get(activation), "__name__", "")
    try:
        gain(name)
    except ValueError:
        name = "relu"
    if depthwise:
        return KaimingNormal(name, mode=mode, kernel="depthwise")
    return KaimingNormal(name, mode=mode, groups=groups)
