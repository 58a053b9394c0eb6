"""What a user may choose of a network: one frozen record, shared by every family."""

import dataclasses
import numbers
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin

import keras

from kcnn.layers._checks import one_of
from kcnn.layers._norm import channel_axis
from kcnn.layers._typed import Activation, Norm

__all__ = ["Activation", "Norm", "Options", "Pooling"]

Pooling = Literal["avg", "max", None]
DataFormat = Literal["channels_last", "channels_first", None]


@dataclass(frozen=True)
class Options:
    """What every network lets its user choose; families add fields of their own.

    Attributes:
        classes: number of classes.
        input_shape: (height, width, channels), height and width may be None for a free
            image size; (channels, height, width) with `data_format="channels_first"`.
        input_tensor: a symbolic Keras tensor to take as the image instead of a new input;
            its shape then is the input's.
        name: of the model; None: the network's, numbered when it is taken already.
        norm: "batch", "sync_batch", "layer", "instance", "group", "none" or a layer class.
        norm_kwargs: for the normalization layers, e.g. {"epsilon": 1e-3}.
        activation: any Keras activation.
        dropout: rate before the logits.
        include_top: False gives features: the last map, or with `pooling` its global
            average or maximum, (batch, channels).
        pooling: "avg" or "max"; None: "avg" before a classifier, no pooling without one.
        classifier_activation: after the logits, such as "softmax"; None gives logits.
            Either comes out in float32.
        width: multiplies every number of filters.
        preprocess: a layer right after the input.
        data_format: "channels_last", "channels_first", None for Keras's setting.

    >>> Options(10, norm="group", dropout=0.2).norm
    'group'
    """

    classes: int = 1000
    _: KW_ONLY
    input_shape: tuple[int | None, ...] = (224, 224, 3)
    input_tensor: Any = None
    name: str | None = None
    norm: Norm = "batch"
    norm_kwargs: Mapping[str, Any] | None = None
    activation: Activation = "relu"
    dropout: float = 0.0
    include_top: bool = True
    pooling: Pooling = None
    classifier_activation: Activation = None
    width: float = 1.0
    preprocess: keras.layers.Layer | None = None
    data_format: DataFormat = None

    # Fields that must lie in [0, 1).
    rates: ClassVar[tuple[str, ...]] = ("dropout", "drop_path", "block_dropout")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all fields."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def picked(self, *names: str) -> dict[str, Any]:
        """The values of those of `names` that this record has."""
        return {name: getattr(self, name) for name in names if name in self.names()}

    @property
    def layout(self) -> str:
        """The data format, never None."""
        return self.data_format or keras.config.image_data_format()

    def channels(self, x: Any) -> int:
        """Channels of the map `x`."""
        return int(x.shape[channel_axis(self.layout)])

    @property
    def normed(self) -> dict[str, Any]:
        """What every convolution with a norm takes: norm, norm_kwargs, activation, data_format."""
        chosen = self.picked("norm", "norm_kwargs", "activation")
        return {**chosen, "data_format": self.layout}

    def scaled(self, filters: int) -> int:
        """`filters * width`, rounded to a multiple of 4 (at least 4) unless width is 1."""
        return filters if self.width == 1 else max(4, 4 * round(filters * self.width / 4))

    def check(self, who: str) -> None:
        """Raise ValueError, in the name of `who`, for a value that no network can have."""
        for field in dataclasses.fields(self):
            if get_origin(field.type) is Literal:
                one_of(who, field.name, getattr(self, field.name), get_args(field.type))
        count = self.classes
        if self.include_top and not (isinstance(count, numbers.Integral) and count >= 1):
            raise ValueError(
                f"{who}: classes must be a whole number of at least 1. Received: {count!r}."
            )
        if not self.width > 0:
            raise ValueError(f"{who}: width must be above 0. Received: {self.width!r}.")
        for name, rate in self.picked(*self.rates).items():
            if not 0 <= rate < 1:
                raise ValueError(f"{who}: {name} must be in [0, 1). Received: {rate!r}.")
