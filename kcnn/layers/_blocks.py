"""Plain, basic and bottleneck blocks."""

import keras

from kcnn.layers._residual import ResidualBlock

__all__ = ["BasicBlock", "BottleneckBlock", "PlainBlock"]


@keras.saving.register_keras_serializable(package="kcnn")
class BasicBlock(ResidualBlock):
    """relu(F(x) + shortcut(x)), F two 3x3 convolutions. He et al., arXiv:1512.03385.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters).
    Sub-layers: `conv_1` (strided), `conv_2`, `shortcut` (None where x fits as it is).
    Arguments as for `ResidualBlock`: strides, norm, norm_kwargs, activation, shortcut,
    zero_init_residual, drop_path, use_bias, padding, data_format, kernel_regularizer, seed.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, **kwargs)
        self.conv_1 = self._conv("conv_1", filters, strides=self.strides)
        self.conv_2 = self._conv("conv_2", filters, last=True)
        self.branch = [self.conv_1, self.conv_2]


@keras.saving.register_keras_serializable(package="kcnn")
class PlainBlock(BasicBlock):
    """`BasicBlock` without the shortcut: two 3x3 convolutions, norms and activations.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters).
    The plain networks of He et al., arXiv:1512.03385. It has neither shortcut nor
    drop_path nor zero_init_residual: without a shortcut they would cut the network.

    Raises:
        ValueError: if one of these is asked for.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(filters, **kwargs)
        if self.drop_path or self.zero_init_residual:
            raise ValueError(
                f"PlainBlock {self.name!r} has no shortcut, so drop_path and "
                f"zero_init_residual must stay off. Received: drop_path={self.drop_path}, "
                f"zero_init_residual={self.zero_init_residual}; use BasicBlock."
            )

    def build(self, input_shape):
        self.conv_1.build(input_shape)
        self.conv_2.build(self.conv_1.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        return self.conv_2(self.conv_1(inputs))


@keras.saving.register_keras_serializable(package="kcnn")
class BottleneckBlock(ResidualBlock):
    """relu(F(x) + shortcut(x)), F convolutions 1x1, 3x3, 1x1. He et al., arXiv:1512.03385.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), expansion * filters).
    Sub-layers: `conv_1`, `conv_2`, `conv_3`, `shortcut` (None where x fits as it is).

    Args:
        filters: channels of the 3x3 convolution.
        expansion: the output has expansion * filters channels.
        stride_on: "3x3" (as torchvision, better accuracy) or "1x1" (the first one, as the
            paper and keras.applications).
        **kwargs: as for `BasicBlock`.

    Raises:
        ValueError: for another stride_on.
    """

    def __init__(self, filters, *, expansion=4, stride_on="3x3", **kwargs):
        super().__init__(filters, **kwargs)
        if stride_on not in ("3x3", "1x1"):
            raise ValueError(
                f'BottleneckBlock {self.name!r}: stride_on must be "3x3" or "1x1". '
                f"Received: {stride_on!r}."
            )
        self.expansion = expansion
        self.stride_on = stride_on
        first, second = (1, self.strides) if stride_on == "3x3" else (self.strides, 1)
        self.conv_1 = self._conv("conv_1", filters, 1, strides=first)
        self.conv_2 = self._conv("conv_2", filters, strides=second)
        self.conv_3 = self._conv("conv_3", self.out_filters, 1, last=True)
        self.branch = [self.conv_1, self.conv_2, self.conv_3]

    @property
    def out_filters(self):
        """Channels of the output."""
        return self.expansion * self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "expansion": self.expansion,
            "stride_on": self.stride_on,
        }
