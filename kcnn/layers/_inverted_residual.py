"""The inverted residual block of MobileNets and EfficientNets."""

from typing import Any

import keras

from kcnn.layers._conv import ConvNormAct
from kcnn.layers._normed import BranchLayer
from kcnn.layers._typed import Activation, BranchArguments, Norm, Padding, Shape, Unpack, registered

__all__ = ["InvertedResidual", "divisible"]


def divisible(filters: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `filters`, not below 90 % of it.

    The rule of all MobileNets and EfficientNets (Howard et al., arXiv:1905.02244).
    """
    nearest = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * filters else nearest + divisor


@registered
class InvertedResidual(BranchLayer):
    """project(excite(depthwise(expand(x)))) [+ x]: wide inside, narrow at its ends.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters). The input is added
    where the shape stays. Sub-layers: `expand` (None for expansion 1), `depthwise`, `excite`
    (None without), `project`; a fused block has no `depthwise`: its first convolution is
    kernel_size wide instead. Sandler et al., arXiv:1801.04381; with squeeze-and-excitation
    Howard et al., arXiv:1905.02244; fused Tan & Le, arXiv:2104.00298.

    Args:
        filters: output channels.
        kernel_size: of the depthwise (fused: the first) convolution, in pixels.
        strides: of the same.
        expansion: inside are expansion * c channels, rounded by `divisible`.
        fused: one convolution in place of `expand` and `depthwise`.
        excite_filters: of the `SqueezeExcitation`; 0 for none.
        excite_activation: in it; None: as the block.
        excite_gate: its gate.
        norm, norm_kwargs: after every convolution.
        activation: after all but the last one (which has it in a fused block of expansion 1).
        drop_path: rate of `StochasticDepth` where the input is added.
        padding: "same" or "symmetric", see `ConvNormAct`.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_regularizer: of every convolution.
        seed: integer for reproducible `drop_path`.

    >>> InvertedResidual(8, strides=2)(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 4, 4, 8])
    """

    def __init__(
        self,
        filters: int,
        *,
        kernel_size: int = 3,
        strides: int = 1,
        expansion: float = 6,
        fused: bool = False,
        excite_filters: int = 0,
        excite_activation: Activation = None,
        excite_gate: Activation = "sigmoid",
        norm: Norm = "batch",
        norm_kwargs: dict[str, Any] | None = None,
        activation: Activation = "relu6",
        padding: Padding = "same",
        **kwargs: Unpack[BranchArguments],
    ):
        super().__init__(norm=norm, norm_kwargs=norm_kwargs, activation=activation, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.expansion = expansion
        self.fused = fused
        self.excite_filters = excite_filters
        inner = self.activation if excite_activation is None else excite_activation
        self.excite_activation = keras.activations.get(inner)
        self.excite_gate = keras.activations.get(excite_gate)
        self.padding = padding
        self.expand: Any = None
        self.depthwise: Any = None
        self.project: Any = None
        self.residual = False

    def build(self, input_shape: Shape) -> None:
        channels: Any = input_shape[self.channel_axis]
        expands = self.expansion != 1
        wide = divisible(self.expansion * channels) if expands else channels
        spatial: dict[str, Any] = {"kernel_size": self.kernel_size, "strides": self.strides}
        if expands:
            self.expand = self._conv("expand", wide, **(spatial if self.fused else {}))
        if not self.fused:
            self.depthwise = self._conv("depthwise", wide, groups=wide, **spatial)
        if self.excite_filters:
            self.excite = self._excitation(
                self.excite_filters, activation=self.excite_activation, gate=self.excite_gate
            )
        alone = self.fused and not expands
        last = spatial if alone else {"activation": None}
        self.project = self._conv("project", self.filters, **last)
        self.residual = self.strides == 1 and channels == self.filters
        if self.residual:
            self.depth = self._drop_path()
        for part in self._chain():
            part.build(input_shape)
            input_shape = part.compute_output_shape(input_shape)

    def _conv(self, name: str, filters: int, **options: Any) -> ConvNormAct:
        chosen = {**self._parts, "kernel_size": 1, "padding": self.padding, **options}
        return ConvNormAct(filters, name=name, **chosen)

    def _chain(self) -> list[Any]:
        parts = (self.expand, self.depthwise, self.excite, self.project)
        return [part for part in parts if part is not None]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs
        for part in self._chain():
            x = part(x)
        if not self.residual:
            return x
        return inputs + (x if self.depth is None else self.depth(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.strided_shape(input_shape, self.strides, self.filters)
