"""ConvNeXt's block."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kcnn.layers._conv import kaiming_for
from kcnn.layers._layer_scale import LayerScale
from kcnn.layers._norm import norm as make_norm
from kcnn.layers._norm import norm_config
from kcnn.layers._stochastic_depth import StochasticDepth
from kcnn.layers._typed import Activation, BaseArguments, Norm, Shape, registered

if TYPE_CHECKING:
    from kcnn.layers._typed import Unpack

__all__ = ["ConvNeXtBlock"]


@registered
class ConvNeXtBlock(keras.layers.Layer):
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
        drop_path: float = 0.0,
        data_format: str | None = None,
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: "Unpack[BaseArguments]",
    ):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.expansion = expansion
        self.layer_scale = layer_scale
        self.norm_kind = norm
        if norm_kwargs is None:
            norm_kwargs = {"epsilon": 1e-6} if norm == "LayerNormalization" else {}
        self.norm_kwargs = dict(norm_kwargs)
        self.activation = keras.activations.get(activation)
        self.drop_path = drop_path
        self.data_format = data_format or keras.config.image_data_format()
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
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
        self.depth: Any = None
        if layer_scale is not None:
            self.scale = LayerScale(layer_scale, dtype=self.dtype_policy, name="scale")
        if drop_path:
            self.depth = StochasticDepth(
                drop_path, seed=seed, dtype=self.dtype_policy, name="drop_path"
            )

    def build(self, input_shape: Shape) -> None:
        self.depthwise.build(input_shape)
        first = self.data_format == "channels_first"
        channels: Any = input_shape[1 if first else -1]
        space = input_shape[2:] if first else input_shape[1:-1]
        shape = (input_shape[0], *space, channels)
        self.norm = make_norm(
            self.norm_kind,
            channels=channels,
            data_format="channels_last",
            name="norm",
            **{"dtype": self.dtype_policy, **self.norm_kwargs},
        )
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
        first = self.data_format == "channels_first"
        x = self.depthwise(inputs)
        if first:
            x = ops.transpose(x, (0, 2, 3, 1))
        x = self.project(self.expand(self.norm(x)))
        if self.scale is not None:
            x = self.scale(x)
        if first:
            x = ops.transpose(x, (0, 3, 1, 2))
        if self.depth is not None:
            x = self.depth(x)
        return inputs + x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "expansion": self.expansion,
            "layer_scale": self.layer_scale,
            "norm": norm_config(self.norm_kind),
            "norm_kwargs": self.norm_kwargs,
            "activation": keras.activations.serialize(self.activation),
            "drop_path": self.drop_path,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
