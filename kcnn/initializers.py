"""Kaiming initializers: weights that keep the size of the signal from layer to layer.

He, Zhang, Ren & Sun, "Delving Deep into Rectifiers", arXiv:1502.01852.
"""

import difflib
import inspect
import math
import random
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras

__all__ = ["KaimingNormal", "KaimingUniform", "fans", "gain"]

Mode = Literal["fan_in", "fan_out"]
Kernel = Literal["conv", "depthwise", "transposed"]

MAX_SEED = 2**31 - 1  # the largest that every backend takes

# Gains that PyTorch users know come first. The others are 1 / sqrt(E[f(z)^2]) for a
# standard normal z, the rule that gives sqrt(2) for relu (integrated numerically).
_GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "softmax": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "relu6": math.sqrt(2.0),
    "selu": 0.75,
    "gelu": 1.5335304412,
    "silu": 1.6765324703,
    "swish": 1.6765324703,
    "hard_silu": 1.7366572128,
    "hard_swish": 1.7366572128,
    "elu": 1.2451983007,
    "mish": 1.4868475813,
    "softplus": 1.0418668355,
}


def gain(nonlinearity: str, negative_slope: float = 0.0) -> float:
    """The factor by which weights before `nonlinearity` are widened.

    Args:
        nonlinearity: a name such as "relu", "leaky_relu", "gelu", "tanh" or "linear".
        negative_slope: slope for negative inputs, used by "leaky_relu" alone:
            gain = sqrt(2 / (1 + negative_slope^2)).

    Returns:
        A float; the standard deviation of the weights is gain / sqrt(fan).

    Raises:
        ValueError: for an unknown name (the nearest known one is given).

    >>> round(gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + negative_slope**2))
    if nonlinearity not in _GAINS:
        known = sorted([*_GAINS, "leaky_relu"])
        near = difflib.get_close_matches(str(nonlinearity), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
        raise ValueError(f"gain: no gain known for nonlinearity={nonlinearity!r}; {hint}")
    return _GAINS[nonlinearity]


def fans(
    shape: Sequence[int], *, kernel: Kernel = "conv", groups: int = 1, strides: int = 1
) -> tuple[float, float]:
    """How many inputs one output is connected to, and how many outputs one input.

    For the kernels of Keras's layers:

    - "conv", (*space, in / groups, out), and dense, (in, out): prod(space) * in / groups and
      prod(space) * out / groups. PyTorch's `kaiming_*_` leaves `groups` out of the second,
      although no output of another group hears of the input.
    - "depthwise", (*space, channels, multiplier), also that of a separable convolution (whose
      pointwise kernel is a "conv"): prod(space) and prod(space) * multiplier.
    - "transposed", (*space, out, in): prod(space) * in / prod(strides), for only that share
      of the kernel meets one output, and prod(space) * out. PyTorch's has the two the wrong
      way round and leaves the strides out.

    >>> fans((3, 3, 16, 32))
    (144, 288.0)
    """
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    *space, first, last = shape
    field = math.prod(space)
    if kernel == "depthwise":
        return field, field * last
    if kernel == "transposed":
        return field * last / strides ** len(space), field * first
    return field * first, field * last / groups


class _Kaiming(keras.initializers.Initializer):
    """What the two distributions share; variance = gain^2 / fan."""

    def __init__(
        self,
        nonlinearity: str = "relu",
        *,
        mode: Mode = "fan_in",
        kernel: Kernel = "conv",
        groups: int = 1,
        strides: int = 1,
        negative_slope: float = 0.0,
        seed: int | keras.random.SeedGenerator | None = None,
    ):
        who = type(self).__name__
        for argument, value, allowed in (("mode", mode, Mode), ("kernel", kernel, Kernel)):
            if value not in get_args(allowed):
                raise ValueError(
                    f"{who}: {argument} must be one of {', '.join(get_args(allowed))}. "
                    f"Received: {value!r}."
                )
        self.gain = gain(nonlinearity, negative_slope)
        self.nonlinearity = nonlinearity
        self.mode = mode
        self.kernel = kernel
        self.groups = groups
        self.strides = strides
        self.negative_slope = negative_slope
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        fan_in, fan_out = fans(shape, kernel=self.kernel, groups=self.groups, strides=self.strides)
        deviation = self.gain / math.sqrt(fan_in if self.mode == "fan_in" else fan_out)
        # Like Keras's own seeds, this one follows keras.utils.set_random_seed.
        seed = random.randint(1, MAX_SEED) if self.seed is None else self.seed
        return self._draw(tuple(shape), deviation, dtype, seed)

    def _draw(self, shape: tuple[int, ...], deviation: float, dtype: str | None, seed: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in inspect.signature(_Kaiming).parameters}
        if isinstance(self.seed, keras.random.SeedGenerator):
            config["seed"] = keras.saving.serialize_keras_object(self.seed)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Kaiming":
        seed = config.get("seed")
        if isinstance(seed, dict):
            config = {**config, "seed": keras.saving.deserialize_keras_object(seed)}
        return cls(**config)


@keras.saving.register_keras_serializable(package="kcnn")
class KaimingNormal(_Kaiming):
    """Normal weights of standard deviation gain / sqrt(fan), not truncated.

    He et al., arXiv:1502.01852.

    Args:
        nonlinearity: what follows the layer, see `gain`.
        mode: "fan_in" keeps the size of activations on the way forward, "fan_out" that of
            gradients on the way back (torchvision's ResNets).
        kernel: what the weights belong to, see `fans`.
        groups: of a grouped convolution.
        strides: of a transposed convolution.
        negative_slope: of "leaky_relu".
        seed: an integer gives the same values in every call; None gives each call its own,
            which `keras.utils.set_random_seed` fixes.

    Raises:
        ValueError: for an unknown nonlinearity, mode or kernel.

    >>> KaimingNormal("relu", seed=0)((3, 3, 16, 32)).shape
    TensorShape([3, 3, 16, 32])
    """

    def _draw(self, shape: tuple[int, ...], deviation: float, dtype: str | None, seed: Any) -> Any:
        return keras.random.normal(shape, stddev=deviation, dtype=dtype, seed=seed)


@keras.saving.register_keras_serializable(package="kcnn")
class KaimingUniform(_Kaiming):
    """Uniform weights in +-gain * sqrt(3 / fan): the variance of `KaimingNormal`.

    Arguments and errors as there. He et al., arXiv:1502.01852.

    >>> KaimingUniform("relu", seed=0)((64, 10)).shape
    TensorShape([64, 10])
    """

    def _draw(self, shape: tuple[int, ...], deviation: float, dtype: str | None, seed: Any) -> Any:
        limit = math.sqrt(3.0) * deviation
        return keras.random.uniform(shape, minval=-limit, maxval=limit, dtype=dtype, seed=seed)
