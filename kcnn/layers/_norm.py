"""One function for every kind of normalization."""

import inspect
from typing import Any

import keras

from kcnn.layers._checks import nearest
from kcnn.layers._typed import (
    Activation,
    BaseArguments,
    ConfiguredLayer,
    Norm,
    Shape,
    Unpack,
    registered,
)
from kcnn.layers.group_norm import GroupNorm, InstanceNorm, auto_groups, check_groups

__all__ = ["norm"]

KINDS = ("batch", "sync_batch", "layer", "instance", "group", "none")


def norm(
    kind: Norm,
    *,
    channels: int | None = None,
    data_format: str | None = None,
    activation: Activation = None,
    name: str | None = None,
    **kwargs: Any,
) -> Any:
    """A normalization layer by its kind.

    y = gamma * (x - mean) / sqrt(var + epsilon) + beta, with mean and variance over

    - "batch": batch and space, per channel (moving averages at inference),
    - "sync_batch": the same over the batches of all replicas of a `tf.distribute` strategy (JAX
      sees one batch anyway), as one device would compute it,
    - "layer": channels and space, per sample,
    - "instance": space, per sample and channel,
    - "group": space and the channels of a group, per sample,
    - "none": no normalization.

    Args:
        kind: one of the names above, a layer class, or the name of one (of keras.layers,
            or as registered, like "kcnn>GroupNorm").
        channels: number of channels; fixes the group count ("group" alone: the divisor
            of `channels` nearest to 32 that leaves at least two channels a group).
        data_format: "channels_last", "channels_first" or None for Keras's setting.
        activation: applied after the normalization; by the layer itself where it takes one.
        name: of the layer.
        **kwargs: for the layer's constructor. "batch" has momentum 0.9 and epsilon 1e-5 by
            default, as He et al., arXiv:1512.03385, and PyTorch have them, the others epsilon
            1e-5: with the 0.99 and 1e-3 of Keras's own layers the moving statistics lag
            behind short trainings, and a published network gives other outputs. A layer
            class keeps its own defaults.

    Returns:
        An unbuilt keras layer.

    Raises:
        ValueError: for an unknown kind (the nearest is named), or groups that do not
            divide the channels.

    >>> norm("group", channels=8).name.startswith("group_norm")
    True
    """
    axis = channel_axis(data_format)
    if kind == "none":
        return keras.layers.Activation(activation or "linear", name=name)
    common = {"axis": axis, "activation": activation, "name": name}
    if kind == "layer":
        return GroupNorm(1, **{**common, **kwargs})
    if kind == "instance":
        return InstanceNorm(**{**common, **kwargs})
    if kind == "group":
        groups = kwargs.pop("groups", auto_groups(channels) if channels else "auto")
        if channels and groups != "auto":
            check_groups(f"norm {kind!r}", groups, channels)
        return GroupNorm(groups, **{**common, **kwargs})
    if kind in ("batch", "sync_batch"):
        cls = keras.layers.BatchNormalization
        kwargs = {"momentum": 0.9, "epsilon": 1e-5, **kwargs}
        if kind == "sync_batch" and keras.backend.backend() == "tensorflow":
            kwargs["synchronized"] = True
    else:
        cls = kind if inspect.isclass(kind) else _find(kind)
    takes = inspect.signature(cls.__init__).parameters
    if "axis" in takes or issubclass(cls, GroupNorm | InstanceNorm):
        kwargs.setdefault("axis", axis)
    if issubclass(cls, GroupNorm | InstanceNorm):
        return cls(activation=activation, name=name, **kwargs)
    layer = cls(name=name, **kwargs)
    if activation in (None, "linear"):
        return layer
    return NormActivation(layer, activation, name=name and f"{name}_activation")


def channel_axis(data_format: str | None) -> int:
    """-1 for channels last, 1 for channels first."""
    return 1 if (data_format or keras.config.image_data_format()) == "channels_first" else -1


def _find(kind: Norm) -> Any:
    found = None
    if isinstance(kind, str):
        found = getattr(keras.layers, kind, None) or keras.saving.get_registered_object(kind)
    if inspect.isclass(found) and issubclass(found, keras.layers.Layer):
        return found
    hint = nearest(kind, KINDS) or f" Choose one of {', '.join(KINDS)}."
    raise ValueError(
        f"norm: unknown kind. Received: {kind!r}.{hint} A keras layer class works, too."
    )


@registered
class NormActivation(ConfiguredLayer):
    """A normalization layer followed by an activation, as one layer."""

    def __init__(
        self,
        normalization: keras.layers.Layer,
        activation: Activation,
        **kwargs: Unpack[BaseArguments],
    ):
        super().__init__(**kwargs)
        if isinstance(normalization, dict):  # of a saved configuration
            normalization = keras.saving.deserialize_keras_object(normalization)
        self.normalization = normalization
        self.activation = keras.activations.get(activation)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if not self.normalization.built:  # a loaded one comes built
            self.normalization.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.activation(self.normalization(inputs))
