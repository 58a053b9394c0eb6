"""What every layer of images knows: where the channels are."""

import keras

from kcnn.layers._typed import BaseArguments, ConfiguredLayer, Shape, Unpack

__all__ = ["ImageLayer"]


class ImageLayer(ConfiguredLayer):
    """A layer of (batch, height, width, channels), or with the channels first."""

    def __init__(self, *, data_format: str | None = None, **kwargs: Unpack[BaseArguments]):
        super().__init__(**kwargs)
        self.data_format = data_format or keras.config.image_data_format()

    @property
    def channels_first(self) -> bool:
        """Whether the channels stand before height and width."""
        return self.data_format == "channels_first"

    @property
    def channel_axis(self) -> int:
        """1 or -1."""
        return 1 if self.channels_first else -1

    @property
    def space_axes(self) -> tuple[int, int]:
        """Of height and width."""
        return (2, 3) if self.channels_first else (1, 2)

    def strided_shape(self, shape: Shape, strides: int, filters: int) -> Shape:
        """`shape` after a step of `strides` pixels and with `filters` channels."""
        sizes = list(shape)
        for axis in self.space_axes:
            size = sizes[axis]
            sizes[axis] = None if size is None else -(-size // strides)
        sizes[self.channel_axis] = filters
        return tuple(sizes)
