"""GroupNorm and InstanceNorm."""

import math
from typing import Any, Literal, get_args

import keras
from keras import ops

from kcnn.layers._checks import one_of
from kcnn.layers._typed import (
    Activation,
    BaseArguments,
    ConfiguredLayer,
    GroupedNormArguments,
    Implementation,
    Shape,
    Unpack,
    registered,
)
from kcnn.layers.group_norm.backend import Held, group_normalize, implementation
from kcnn.layers.group_norm.reference import NormSpec, compute_type

__all__ = ["GroupNorm", "InstanceNorm"]


class _GroupedNorm(ConfiguredLayer):
    """Everything but the number of groups."""

    def __init__(
        self,
        *,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        activation: Activation = None,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        implementation: Implementation = "auto",
        **kwargs: Unpack[BaseArguments],
    ):
        super().__init__(autocast=False, **kwargs)
        if not isinstance(axis, int) or axis == 0:
            raise ValueError(
                f"{self._who}: axis must be one integer other than 0 (the batch). "
                f"Received: axis={axis!r}; use -1 for channels last, 1 for channels first."
            )
        if not epsilon > 0:
            raise ValueError(f"{self._who}: epsilon must be positive. Received: {epsilon!r}.")
        self.supports_masking = True
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.activation = keras.activations.get(activation)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.implementation = implementation
        self._held = Held()

    @property
    def implementation(self) -> str:
        """How it is computed here: "compiled", "plain", or on torch "native". May be set."""
        return implementation() if self._implementation == "auto" else self._implementation

    @implementation.setter
    def implementation(self, value: Implementation) -> None:
        one_of(self._who, "implementation", value, get_args(Implementation))
        self._implementation = value

    @property
    def _who(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def _group_count(self, channels: int) -> int:
        raise NotImplementedError

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        if rank < 2 or not -rank < self.axis < rank:
            raise ValueError(
                f"{self._who}: axis={self.axis} must name a channel axis of the input. "
                f"Received an input of shape {tuple(input_shape)}."
            )
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"{self._who}: the number of channels (axis {self.axis}) must be known. "
                f"Received an input of shape {tuple(input_shape)}; give the input a full "
                "channel dimension or choose another axis."
            )
        self.channels = channels
        self.group_count = self._group_count(channels)
        self.input_spec = keras.layers.InputSpec(ndim=rank, axes={self.axis: channels})
        self.gamma = self._vector("gamma", channels) if self.scale else None
        self.beta = self._vector("beta", channels) if self.center else None

    def _vector(self, name: str, channels: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(channels,),
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def call(self, inputs: Any, residual: Any = None, training: bool | None = None) -> Any:
        x = ops.convert_to_tensor(inputs)
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
            x = ops.cast(x, self.compute_dtype)
        spec = NormSpec(
            groups=self.group_count,
            channels=self.channels,
            axis=self.axis % len(x.shape),
            epsilon=self.epsilon,
            dtype=self.compute_dtype,
        )
        kind = compute_type(x)
        gamma = ops.ones(self.channels, kind) if self.gamma is None else self.gamma
        beta = ops.zeros(self.channels, kind) if self.beta is None else self.beta
        gamma, beta = ops.cast(gamma, kind), ops.cast(beta, kind)
        held = None if self._implementation == "plain" else self._held
        y = group_normalize(spec, x, gamma, beta, training=training, held=held)
        if residual is not None:
            y = y + ops.cast(residual, y.dtype)
        return self.activation(y)


@registered
class GroupNorm(_GroupedNorm):
    """Normalize each sample over space and within groups of channels.

    y = activation(gamma * (x - mean) / sqrt(var + epsilon) + beta [+ residual]), in
    float32 inside, in the layer's compute dtype outside. `groups=1` is layer
    normalization over (channels, space); `groups="auto"` takes the divisor of the
    channels nearest to 32 that leaves at least two channels a group. After build,
    `group_count` says what was used. Wu & He, arXiv:1803.08494.

    Args:
        groups: positive integer, "auto", or -1 for one group a channel, as in Keras.
        axis: the channel axis: -1 (channels last) or 1 (channels first).
        epsilon: added to the variance. 1e-5 is the paper's and PyTorch's; with the 1e-3 of
            keras.layers.GroupNormalization small activations are not normalized, and weights
            trained elsewhere give other outputs.
        center, scale: whether to learn beta and gamma, each of shape (channels,).
        activation: a Keras activation, applied at the end.
        implementation: "auto", or "plain" for no kernels compiled by XLA: they are faster by far
            on CPUs, and cost some seconds and memory in the first step. Afterwards the attribute
            says what is used.

    Call arguments:
        inputs: (batch, *space, channels), any rank from 2 on.
        residual: the same shape, added before the activation.

    Raises:
        ValueError: at build, unless the groups divide the channels.

    >>> GroupNorm(2)(keras.ops.ones((1, 4, 4, 6))).shape
    TensorShape([1, 4, 4, 6])
    """

    def __init__(self, groups: int | Literal["auto"] = 32, **kwargs: Unpack[GroupedNormArguments]):
        super().__init__(**kwargs)
        if groups not in ("auto", -1) and (not isinstance(groups, int) or groups < 1):
            raise ValueError(
                f'{self._who}: groups must be a positive integer, "auto", or -1 for one group '
                f"a channel. Received: {groups!r}."
            )
        self.groups = groups

    def _group_count(self, channels: int) -> int:
        if self.groups == "auto":
            return auto_groups(channels)
        if self.groups == -1:
            return channels
        check_groups(self._who, self.groups, channels)
        return self.groups


@registered
class InstanceNorm(_GroupedNorm):
    """Normalize each channel of each sample over space: one group a channel.

    Arguments as for `GroupNorm`, without `groups`. Ulyanov et al., arXiv:1607.08022.

    >>> InstanceNorm()(keras.ops.ones((1, 4, 4, 6))).shape
    TensorShape([1, 4, 4, 6])
    """

    def _group_count(self, channels: int) -> int:
        return channels


def auto_groups(channels: int) -> int:
    """The divisor of `channels` nearest to 32 that leaves two channels or more a group."""
    divisors = [g for g in range(1, channels // 2 + 1) if channels % g == 0] or [1]
    return min(divisors, key=lambda g: (abs(g - 32), -g))


def check_groups(who: str, groups: int, channels: int) -> None:
    """Raise unless `groups` divides `channels`."""
    if channels % groups:
        raise ValueError(
            f"{who}: groups must divide the channels. Received: groups={groups} for "
            f"channels={channels}; try groups={math.gcd(groups, channels)}."
        )
