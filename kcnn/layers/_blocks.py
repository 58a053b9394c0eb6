"""Plain, basic and bottleneck blocks."""

from typing import Any, Literal

from kcnn.layers._checks import one_of
from kcnn.layers._residual import ResidualBlock
from kcnn.layers._typed import BlockArguments, Shape, Unpack, registered

__all__ = ["BasicBlock", "BottleneckBlock", "PlainBlock"]


@registered
class BasicBlock(ResidualBlock):
    """relu(F(x) + shortcut(x)), F two 3x3 convolutions. He et al., arXiv:1512.03385.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters).
    Sub-layers: `conv_1` (strided), `conv_2`, `shortcut` (None where x fits as it is).

    Args:
        filters: channels of both convolutions and of the output.
        strides: of the strided convolution and of the shortcut, in pixels.
        norm, norm_kwargs: for every `ConvNormAct`.
        activation: after every convolution but the last, and after the sum.
        shortcut: "conv", "avgpool-conv" or "identity-pad", used where the shape changes.
        zero_init_residual: start the last normalization's gamma at zero (the last kernel
            where there is none), so that the block starts as its shortcut. Goyal et al.,
            arXiv:1706.02677.
        drop_path: rate of `StochasticDepth` on the residual branch.
        use_bias: of the convolutions; None: only without a norm.
        padding: "same" or "symmetric", see `ConvNormAct`.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_regularizer: of every convolution.
        weight_standardization: of every convolution, see `StandardizedConv2D`.
        se_ratio: of `SqueezeExcitation` at the end of the branch: its inner channels are this
            share of the outer ones, a multiple of 8 (SENet: 1/16); 0 for none.
        seed: integer for reproducible `drop_path`.

    Raises:
        ValueError: for an unknown shortcut, or padding="valid", which fits no shortcut.

    >>> BasicBlock(16, strides=2)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 4, 4, 16])
    """

    def _chain(self) -> list[Any]:
        self.conv_1 = self._conv("conv_1", self.filters, strides=self.strides)
        self.conv_2 = self._conv("conv_2", self.filters, last=True)
        return [self.conv_1, self.conv_2]


@registered
class PlainBlock(BasicBlock):
    """`BasicBlock` without the shortcut: two 3x3 convolutions, norms and activations.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters).
    The plain networks of He et al., arXiv:1512.03385. It has no shortcut, so what belongs to
    a residual branch (drop_path, zero_init_residual, se_ratio) must stay off.

    Raises:
        ValueError: if one of these is asked for.

    >>> PlainBlock(16)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 8, 8, 16])
    """

    def __init__(self, filters: int, **kwargs: Unpack[BlockArguments]):
        super().__init__(filters, **kwargs)
        if self.drop_path or self.zero_init_residual or self.se_ratio:
            raise ValueError(
                f"PlainBlock {self.name!r} has no shortcut, so drop_path, zero_init_residual "
                f"and se_ratio must stay off. Received: drop_path={self.drop_path}, "
                f"zero_init_residual={self.zero_init_residual}, se_ratio={self.se_ratio}; "
                "use BasicBlock."
            )

    def build(self, input_shape: Shape) -> None:
        self._build_branch(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.conv_2(self.conv_1(inputs))


@registered
class BottleneckBlock(ResidualBlock):
    """relu(F(x) + shortcut(x)), F convolutions 1x1, 3x3, 1x1. He et al., arXiv:1512.03385.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), expansion * filters).
    Sub-layers: `conv_1`, `conv_2`, `conv_3`, `shortcut` (None where x fits as it is).

    Args:
        filters: channels of the 3x3 convolution.
        expansion: the output has expansion * filters channels.
        stride_on: "3x3" (as torchvision, better accuracy) or "1x1" (the first one, as the
            paper and keras.applications).
        groups: of the 3x3 convolution. Xie et al., arXiv:1611.05431.
        width_per_group: channels of a group where filters is 64: the 3x3 convolution has
            filters * groups * width_per_group / 64 channels.
        **kwargs: as for `BasicBlock`.

    Raises:
        ValueError: for another stride_on.

    >>> BottleneckBlock(4)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 8, 8, 16])
    """

    def __init__(
        self,
        filters: int,
        *,
        expansion: int = 4,
        stride_on: Literal["3x3", "1x1"] = "3x3",
        groups: int = 1,
        width_per_group: int = 64,
        **kwargs: Unpack[BlockArguments],
    ):
        super().__init__(filters, **kwargs)
        one_of(f"BottleneckBlock {self.name!r}", "stride_on", stride_on, ("3x3", "1x1"))
        self.expansion = expansion
        self.stride_on = stride_on
        self.groups = groups
        self.width_per_group = width_per_group

    def _chain(self) -> list[Any]:
        first, second = (1, self.strides) if self.stride_on == "3x3" else (self.strides, 1)
        inner = max(1, self.filters * self.width_per_group // 64) * self.groups
        self.conv_1 = self._conv("conv_1", inner, 1, strides=first)
        self.conv_2 = self._conv("conv_2", inner, strides=second, groups=self.groups)
        self.conv_3 = self._conv("conv_3", self.out_filters, 1, last=True)
        return [self.conv_1, self.conv_2, self.conv_3]

    @property
    def out_filters(self) -> int:
        """Channels of the output."""
        return self.expansion * self.filters
