"""What stands beside a residual branch when the shape changes."""

from typing import Any, get_args

import keras
from keras import ops

from kcnn.layers._conv import ConvNormAct
from kcnn.layers._image import ImageLayer
from kcnn.layers._typed import ImageArguments, Shape, Shortcut, Unpack, registered

__all__ = ["AvgPoolConv", "IdentityPad", "make_shortcut"]

SHORTCUTS = get_args(Shortcut)


def make_shortcut(
    kind: Shortcut, channels: int, filters: int, strides: int, **options: Any
) -> "ConvNormAct | IdentityPad | None":
    """The layer for the shortcut, or None where the shape stays: the identity.

    Args:
        kind: "conv" (1x1, strided), "avgpool-conv" (ResNet-D, arXiv:1812.01187) or
            "identity-pad" (strided, zero channels appended: option A of arXiv:1512.03385).
        channels, filters: of the input and of the output.
        strides: in pixels.
        **options: for `ConvNormAct`.
    """
    if strides == 1 and channels == filters:
        return None
    if kind == "identity-pad":
        return IdentityPad(
            filters,
            strides=strides,
            data_format=options["data_format"],
            dtype=options["dtype"],
            name="shortcut",
        )
    options = {**options, "activation": None, "name": "shortcut"}
    if kind == "avgpool-conv" and strides > 1:
        return AvgPoolConv(filters, pool=strides, **options)
    return ConvNormAct(filters, 1, strides=strides, **options)


@registered
class AvgPoolConv(ConvNormAct):
    """Average pooling of `pool` x `pool`, then a 1x1 `ConvNormAct`.

    (batch, h, w, c) -> (batch, ceil(h/pool), ceil(w/pool), filters).
    """

    def __init__(self, filters: int, *, pool: int = 2, kernel_size: int = 1, **kwargs: Any):
        super().__init__(filters, kernel_size, **kwargs)
        self.pool = pool
        self.pooling = keras.layers.AveragePooling2D(
            pool,
            padding="same",
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="pooling",
        )

    def call(self, inputs: Any, residual: Any = None, training: bool | None = None) -> Any:
        return super().call(self.pooling(inputs), residual=residual, training=training)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return super().compute_output_shape(self.pooling.compute_output_shape(input_shape))


@registered
class IdentityPad(ImageLayer):
    """Every `strides`-th pixel, with zero channels appended up to `filters`; no weights.

    (batch, h, w, c) -> (batch, ceil(h/strides), ceil(w/strides), filters).

    Raises:
        ValueError: at build, if the input has more than `filters` channels.
    """

    def __init__(self, filters: int, *, strides: int = 1, **kwargs: Unpack[ImageArguments]):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides

    def build(self, input_shape: Shape) -> None:
        channels: Any = input_shape[self.channel_axis]
        if channels > self.filters:
            raise ValueError(
                f"IdentityPad {self.name!r}: the input's channels={channels} are more than "
                f'filters={self.filters}; use shortcut="conv".'
            )
        self._missing = self.filters - channels

    def call(self, inputs: Any) -> Any:
        s = self.strides
        x = inputs[:, :, ::s, ::s] if self.channels_first else inputs[:, ::s, ::s, :]
        if not self._missing:
            return x
        pad = [(0, 0)] * 4
        pad[self.channel_axis] = (0, self._missing)
        return ops.pad(x, pad)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.strided_shape(input_shape, self.strides, self.filters)
