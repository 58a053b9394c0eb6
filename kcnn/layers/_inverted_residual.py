"""The inverted residual block of MobileNets and EfficientNets."""

from typing import TYPE_CHECKING, Any

import keras

from kcnn.layers._conv import ConvNormAct
from kcnn.layers._norm import norm_config
from kcnn.layers._squeeze_excitation import SqueezeExcitation
from kcnn.layers._stochastic_depth import StochasticDepth
from kcnn.layers._typed import Activation, BaseArguments, Norm, Padding, Shape, registered

if TYPE_CHECKING:
    from kcnn.layers._typed import Unpack

__all__ = ["InvertedResidual", "divisible"]


def divisible(filters: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `filters`, not below 90 % of it.

    The rule of all MobileNets and EfficientNets (Howard et al., arXiv:1905.02244).
    """
    nearest = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * filters else nearest + divisor


@registered
class InvertedResidual(keras.layers.Layer):
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
        drop_path: float = 0.0,
        padding: Padding = "same",
        data_format: str | None = None,
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: "Unpack[BaseArguments]",
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.expansion = expansion
        self.fused = fused
        self.excite_filters = excite_filters
        self.activation = keras.activations.get(activation)
        inner = self.activation if excite_activation is None else excite_activation
        self.excite_activation = keras.activations.get(inner)
        self.excite_gate = keras.activations.get(excite_gate)
        self.norm_kind = norm
        self.norm_kwargs = dict(norm_kwargs or {})
        self.drop_path = drop_path
        self.padding = padding
        self.data_format = data_format or keras.config.image_data_format()
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
        self.expand: Any = None
        self.depthwise: Any = None
        self.excite: Any = None
        self.project: Any = None
        self.depth: Any = None
        self.residual = False

    def build(self, input_shape: Shape) -> None:
        channels: Any = input_shape[1 if self.data_format == "channels_first" else -1]
        expands = self.expansion != 1
        wide = divisible(self.expansion * channels) if expands else channels
        spatial: dict[str, Any] = {"kernel_size": self.kernel_size, "strides": self.strides}
        if expands:
            self.expand = self._conv("expand", wide, **(spatial if self.fused else {}))
        if not self.fused:
            self.depthwise = self._conv("depthwise", wide, groups=wide, **spatial)
        if self.excite_filters:
            self.excite = SqueezeExcitation(
                self.excite_filters,
                activation=self.excite_activation,
                gate=self.excite_gate,
                data_format=self.data_format,
                kernel_regularizer=self.kernel_regularizer,
                dtype=self.dtype_policy,
                name="excite",
            )
        alone = self.fused and not expands
        last = spatial if alone else {"activation": None}
        self.project = self._conv("project", self.filters, **last)
        self.residual = self.strides == 1 and channels == self.filters
        if self.residual and self.drop_path:
            self.depth = StochasticDepth(
                self.drop_path, seed=self.seed, dtype=self.dtype_policy, name="drop_path"
            )
        for part in self._chain():
            part.build(input_shape)
            input_shape = part.compute_output_shape(input_shape)

    def _conv(self, name: str, filters: int, **options: Any) -> ConvNormAct:
        chosen = {
            "kernel_size": 1,
            "norm": self.norm_kind,
            "norm_kwargs": self.norm_kwargs,
            "activation": self.activation,
            "padding": self.padding,
            "data_format": self.data_format,
            "kernel_regularizer": self.kernel_regularizer,
            "dtype": self.dtype_policy,
            **options,
        }
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
        def size(pixels: int | None) -> int | None:
            return None if pixels is None else -(-pixels // self.strides)

        if self.data_format == "channels_first":
            batch, _, height, width = input_shape
            return (batch, self.filters, size(height), size(width))
        batch, height, width, _ = input_shape
        return (batch, size(height), size(width), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expansion": self.expansion,
            "fused": self.fused,
            "excite_filters": self.excite_filters,
            "excite_activation": keras.activations.serialize(self.excite_activation),
            "excite_gate": keras.activations.serialize(self.excite_gate),
            "norm": norm_config(self.norm_kind),
            "norm_kwargs": self.norm_kwargs,
            "activation": keras.activations.serialize(self.activation),
            "drop_path": self.drop_path,
            "padding": self.padding,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
