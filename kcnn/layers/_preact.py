"""The pre-activation block."""

from typing import Any

import keras

from kcnn.layers._residual import ResidualBlock
from kcnn.layers._typed import BlockArguments, Shape, Unpack, registered

__all__ = ["PreActBlock"]


@registered
class PreActBlock(ResidualBlock):
    """shortcut + F(x), where F normalizes and activates before each convolution.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters), or
    expansion * filters for a bottleneck. A projection shortcut starts from the activated
    input, the identity from the raw one. Sub-layers: `preact` (norm and activation),
    `conv_1`, `conv_2` (and `conv_3`), of which the last has neither norm nor activation,
    `dropout` (None for rate 0) before the last convolution, `shortcut`.
    He et al., arXiv:1603.05027; wide: Zagoruyko & Komodakis, arXiv:1605.07146.

    Args:
        filters: channels of the 3x3 convolutions.
        bottleneck: 1x1, 3x3, 1x1 instead of 3x3, 3x3; the 3x3 has the stride.
        expansion: of a bottleneck.
        dropout: rate before the last convolution.
        use_bias: of the last convolution and the projection (keras.applications: True);
            the others have one only without a norm.
        **kwargs: as for `BasicBlock`; `zero_init_residual` starts the last kernel at zero.

    >>> PreActBlock(16, strides=2)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 4, 4, 16])
    """

    _ends_active = False

    def __init__(
        self,
        filters: int,
        *,
        bottleneck: bool = False,
        expansion: int = 4,
        dropout: float = 0.0,
        **kwargs: Unpack[BlockArguments],
    ):
        super().__init__(filters, **kwargs)
        self.bottleneck = bottleneck
        self.expansion = expansion
        self.dropout_rate = dropout
        self.preact: Any = None
        self.dropout: Any = None
        if dropout:
            self.dropout = keras.layers.Dropout(
                dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout"
            )

    def _chain(self) -> list[Any]:
        plain = {**self._plain, "activation": None}
        filters, strides = self.filters, self.strides
        if self.bottleneck:
            self.conv_1 = self._conv("conv_1", filters, 1, use_bias=None)
            self.conv_2 = self._conv("conv_2", filters, strides=strides, use_bias=None)
            self.conv_3 = self._conv("conv_3", self.out_filters, 1, last=True, **plain)
            return [self.conv_1, self.conv_2, self.conv_3]
        self.conv_1 = self._conv("conv_1", filters, strides=strides, use_bias=None)
        self.conv_2 = self._conv("conv_2", filters, last=True, **plain)
        return [self.conv_1, self.conv_2]

    @property
    def out_filters(self) -> int:
        """Channels of the output."""
        return self.expansion * self.filters if self.bottleneck else self.filters

    @property
    def _plain(self) -> dict[str, Any]:
        """What the last convolution and the projection take: no norm."""
        use_bias = self.norm_kind == "none" if self.use_bias is None else self.use_bias
        return {"norm": "none", "norm_kwargs": None, "use_bias": use_bias}

    def build(self, input_shape: Shape) -> None:
        self._build_branch(input_shape)
        channels: Any = input_shape[self.channel_axis]
        self.preact = self._norm("preact", channels, activation=self.activation)
        self.preact.build(input_shape)
        self._build_shortcut(input_shape, **{**self._parts, **self._plain})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        active = self.preact(inputs)
        side = inputs
        if self.shortcut is not None:
            side = self.shortcut(inputs if self.shortcut_kind == "identity-pad" else active)
        x = active
        for conv in self.branch[:-1]:
            x = conv(x)
        if self.dropout is not None:
            x = self.dropout(x)
        return self._end(x, side)
