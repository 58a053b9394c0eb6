"""Convolution, normalization and activation as one layer."""

from typing import Any

import keras
from keras import ops

from kcnn.initializers import KaimingNormal, gain
from kcnn.layers._group_norm import GroupNorm, InstanceNorm
from kcnn.layers._norm import norm as make_norm
from kcnn.layers._norm import norm_config

__all__ = ["ConvNormAct"]


@keras.saving.register_keras_serializable(package="kcnn")
class ConvNormAct(keras.layers.Layer):
    """activation(norm(conv(x)) [+ residual]): 2-D convolution, norm, activation.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters), or with the
    channels first. Sub-layers: `conv`, `norm` (None for norm="none").

    Args:
        filters: output channels.
        kernel_size: side of the square kernel, in pixels.
        strides: step in pixels.
        padding: "same" (Keras: the odd pixel goes to the bottom right), "symmetric"
            (kernel_size // 2 zeros on every side, as PyTorch and Caffe networks have it;
            different from "same" only for strides > 1), or "valid".
        norm: a kind that `kcnn.layers.norm` knows.
        norm_kwargs: dict of plain values for the normalization's constructor.
        activation: a Keras activation or None.
        use_bias: whether the convolution has a bias; None: only without a norm.
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        kernel_initializer: None for `KaimingNormal(activation, mode="fan_out")`.
        kernel_regularizer: of the convolution.

    Call arguments:
        inputs: the image batch.
        residual: tensor of the output's shape, added before the activation.

    Raises:
        ValueError: for an unknown padding or norm.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        *,
        strides=1,
        padding="same",
        norm="batch",
        norm_kwargs=None,
        activation="relu",
        use_bias=None,
        data_format=None,
        kernel_initializer=None,
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding not in ("same", "symmetric", "valid"):
            raise ValueError(
                f'ConvNormAct {self.name!r}: padding must be "same", "symmetric" or "valid". '
                f"Received: {padding!r}."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.norm_kind = norm
        self.norm_kwargs = dict(norm_kwargs or {})
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.data_format = data_format or keras.config.image_data_format()
        self.kernel_initializer = (
            keras.initializers.get(kernel_initializer)
            if kernel_initializer is not None
            else kaiming_for(self.activation)
        )
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_masking = True
        normless = norm == "none"
        self.conv = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same" if self._pad == 0 and padding != "valid" else "valid",
            use_bias=normless if use_bias is None else use_bias,
            data_format=self.data_format,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm: Any = None
        if not normless:
            self.norm = make_norm(
                norm,
                channels=filters,
                data_format=self.data_format,
                name="norm",
                **{"dtype": self.dtype_policy, **self.norm_kwargs},
            )
        self._folds = isinstance(self.norm, GroupNorm | InstanceNorm)
        if self._folds:
            self.norm.activation = self.activation

    @property
    def _pad(self):
        return self.kernel_size // 2 if self.padding == "symmetric" and self.strides > 1 else 0

    def build(self, input_shape):
        padded = self._padded_shape(input_shape)
        self.conv.build(padded)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(padded))

    def call(self, inputs, residual=None, training=None):
        x = self.conv(self._padded(inputs))
        if self._folds:
            return self.norm(x, residual=residual)
        if self.norm is not None:
            x = self.norm(x)
        if residual is not None:
            x = x + residual
        return self.activation(x)

    def _padded(self, x):
        if not self._pad:
            return x
        pad = (self._pad, self._pad)
        if self.data_format == "channels_first":
            return ops.pad(x, ((0, 0), (0, 0), pad, pad))
        return ops.pad(x, ((0, 0), pad, pad, (0, 0)))

    def _padded_shape(self, shape):
        shape = list(shape)
        if self._pad:
            first = 2 if self.data_format == "channels_first" else 1
            for i in (first, first + 1):
                shape[i] = None if shape[i] is None else shape[i] + 2 * self._pad
        return tuple(shape)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(self._padded_shape(input_shape))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "norm": norm_config(self.norm_kind),
            "norm_kwargs": self.norm_kwargs,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "data_format": self.data_format,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def kaiming_for(activation):
    """Kaiming normal weights (fan out) with the gain of `activation`, relu's if unknown."""
    name = getattr(keras.activations.get(activation), "__name__", "")
    try:
        gain(name)
    except ValueError:
        name = "relu"
    return KaimingNormal(name, mode="fan_out")
