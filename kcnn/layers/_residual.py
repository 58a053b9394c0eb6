"""What plain and residual blocks share: their options, and the sum at the end."""

import keras

from kcnn.layers._conv import ConvNormAct, kaiming_for
from kcnn.layers._norm import norm_config
from kcnn.layers._shortcut import check_shortcut, make_shortcut
from kcnn.layers._stochastic_depth import StochasticDepth

__all__ = ["ResidualBlock"]


class ResidualBlock(keras.layers.Layer):
    """A chain of `ConvNormAct`, the last of which adds the shortcut before its activation.

    Subclasses make their convolutions with `_conv` in `__init__`, list them in
    `self.branch`, and say in `out_filters` how many channels come out.

    Args:
        filters: see the subclass.
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
        seed: integer for reproducible `drop_path`.
    """

    def __init__(
        self,
        filters,
        *,
        strides=1,
        norm="batch",
        norm_kwargs=None,
        activation="relu",
        shortcut="conv",
        zero_init_residual=False,
        drop_path=0.0,
        use_bias=None,
        padding="same",
        data_format=None,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_shortcut(f"{type(self).__name__} {self.name!r}", shortcut)
        self.filters = filters
        self.strides = strides
        self.norm_kind = norm
        self.norm_kwargs = dict(norm_kwargs or {})
        self.activation = keras.activations.get(activation)
        self.shortcut_kind = shortcut
        self.zero_init_residual = zero_init_residual
        self.drop_path = drop_path
        self.use_bias = use_bias
        self.padding = padding
        self.data_format = data_format or keras.config.image_data_format()
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed
        self.shortcut = None
        self.depth = None
        if drop_path:
            self.depth = StochasticDepth(
                drop_path, seed=seed, dtype=self.dtype_policy, name="drop_path"
            )

    @property
    def out_filters(self):
        """Channels of the output."""
        return self.filters

    @property
    def _options(self):
        """What every `ConvNormAct` of the block gets."""
        return {
            "norm": self.norm_kind,
            "norm_kwargs": self.norm_kwargs,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "padding": self.padding,
            "data_format": self.data_format,
            "kernel_initializer": kaiming_for(self.activation),
            "kernel_regularizer": self.kernel_regularizer,
            "dtype": self.dtype_policy,
        }

    def _conv(self, name, filters, kernel_size=3, *, last=False, **options):
        """One `ConvNormAct`; the last one of a residual branch starts at zero if asked."""
        options = {**self._options, "name": name, **options}
        if last and self.zero_init_residual:
            if options["norm"] == "none":
                options["kernel_initializer"] = "zeros"
            else:
                options["norm_kwargs"] = {**options["norm_kwargs"], "gamma_initializer": "zeros"}
        if last and self.depth is not None:
            options["activation"] = None  # it follows the sum
        return ConvNormAct(filters, kernel_size, **options)

    def _channels(self, shape):
        return shape[1 if self.data_format == "channels_first" else -1]

    def build(self, input_shape):
        self.shortcut = make_shortcut(
            self.shortcut_kind,
            self._channels(input_shape),
            self.out_filters,
            self.strides,
            **self._options,
        )
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        for conv in self.branch:
            conv.build(input_shape)
            input_shape = conv.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        x = inputs
        for conv in self.branch[:-1]:
            x = conv(x)
        side = inputs if self.shortcut is None else self.shortcut(inputs)
        if self.depth is None:
            return self.branch[-1](x, residual=side)
        return self.activation(self.depth(self.branch[-1](x)) + side)

    def compute_output_shape(self, input_shape):
        for conv in self.branch:
            input_shape = conv.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "norm": norm_config(self.norm_kind),
            "norm_kwargs": self.norm_kwargs,
            "activation": keras.activations.serialize(self.activation),
            "shortcut": self.shortcut_kind,
            "zero_init_residual": self.zero_init_residual,
            "drop_path": self.drop_path,
            "use_bias": self.use_bias,
            "padding": self.padding,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
