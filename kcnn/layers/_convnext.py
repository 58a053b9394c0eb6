"""ConvNeXt's block."""

from typing import Any

import keras
from keras import ops

from kcnn.layers._conv import kaiming_for
from kcnn.layers._layer_scale import LayerScale
from kcnn.layers._normed import BranchLayer
from kcnn.layers._typed import Activation, BranchArguments, Norm, Shape, Unpack, registered

__all__ = ["ConvNeXtBlock"]


@registered
class ConvNeXtBlock(BranchLayer):
    """x + scale(project(activation(expand(norm(depthwise(x)))))).

    (batch, h, w, c) to the same, or with the channels first. Sub-layers: `depthwise`, `norm`,
    `expand` and `project` (dense over the channels), `scale` (None without).
    Liu et al., arXiv:2201.03545.

    Args:
        kernel_size: side of the depthwise kernel, in pixels.
        expansion: `expand` has expansion * c channels.
        layer_scale: initial value of `LayerScale`; None for none.
        norm: a kind that `kcnn.layers.norm` knows. As published, each pixel's channels are
            normalized by themselves: Keras's "LayerNormalization".
        norm_kwargs: for it; None as published: epsilon 1e-6 with the published norm.
        activation: between `expand` and `project`.
        drop_path: rate of `StochasticDepth` on the branch.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_regularizer: of the three kernels.
        seed: integer for reproducible `drop_path`.

    >>> ConvNeXtBlock()(keras.ops.ones((1, 8, 8, 8))).shape
    TensorShape([1, 8, 8, 8])
    """

    def __init__(
        self,
        *,
        kernel_size: int = 7,
        expansion: int = 4,
        layer_scale: float | None = 1e-6,
        norm: Norm = "LayerNormalization",
        norm_kwargs: dict[str, Any] | None = None,
        activation: Activation = "gelu",
        **kwargs: Unpack[BranchArguments],
    ):
        if norm_kwargs is None and norm == "LayerNormalization":
            norm_kwargs = {"epsilon": 1e-6}
        super().__init__(norm=norm, norm_kwargs=norm_kwargs, activation=activation, **kwargs)
        self.kernel_size = kernel_size
        self.expansion = expansion
        self.layer_scale = layer_scale
        self.depthwise = keras.layers.DepthwiseConv2D(
            kernel_size,
            padding="same",
            data_format=self.data_format,
            depthwise_initializer=kaiming_for("linear", depthwise=True),
            depthwise_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.norm: Any = None
        self.expand: Any = None
        self.project: Any = None
        self.scale: Any = None
        self.depth = self._drop_path()
        if layer_scale is not None:
            self.scale = LayerScale(layer_scale, dtype=self.dtype_policy, name="scale")

    def build(self, input_shape: Shape) -> None:
        self.depthwise.build(input_shape)
        channels: Any = input_shape[self.channel_axis]
        shape = (input_shape[0], *(input_shape[i] for i in self.space_axes), channels)
        self.norm = self._norm("norm", channels, data_format="channels_last")
        self.norm.build(shape)
        wide = self.expansion * channels
        self.expand = self._dense("expand", wide, self.activation)
        self.expand.build(shape)
        self.project = self._dense("project", channels, None)
        self.project.build((*shape[:-1], wide))
        if self.scale is not None:
            self.scale.build(shape)

    def _dense(self, name: str, units: int, activation: Any) -> Any:
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=kaiming_for(activation),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.depthwise(inputs)
        if self.channels_first:
            x = ops.transpose(x, (0, 2, 3, 1))
        x = self.project(self.expand(self.norm(x)))
        if self.scale is not None:
            x = self.scale(x)
        if self.channels_first:
            x = ops.transpose(x, (0, 3, 1, 2))
        if self.depth is not None:
            x = self.depth(x)
        return inputs + x
