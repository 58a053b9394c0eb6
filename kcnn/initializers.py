"""Kaiming initializers: weights that keep the size of the signal from layer to layer.

He, Zhang, Ren & Sun, "Delving Deep into Rectifiers", arXiv:1502.01852.
"""

import difflib
import math

import keras

__all__ = ["KaimingNormal", "KaimingUniform", "gain"]

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
    "elu": 1.2451983007,
    "mish": 1.4868475813,
    "softplus": 1.0418668355,
}


def gain(nonlinearity, negative_slope=0.0):
    """The factor by which weights before `nonlinearity` are widened.

    Args:
        nonlinearity: a name such as "relu", "leaky_relu", "gelu", "tanh" or "linear".
        negative_slope: slope for negative inputs, used by "leaky_relu" alone:
            gain = sqrt(2 / (1 + negative_slope^2)).

    Returns:
        A float; the standard deviation of the weights is gain / sqrt(fan).

    Raises:
        ValueError: for an unknown name (the nearest known one is given).
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + negative_slope**2))
    if nonlinearity not in _GAINS:
        known = sorted([*_GAINS, "leaky_relu"])
        near = difflib.get_close_matches(str(nonlinearity), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
        raise ValueError(f"gain: no gain known for nonlinearity={nonlinearity!r}; {hint}")
    return _GAINS[nonlinearity]


class _Kaiming(keras.initializers.VarianceScaling):
    """What the two distributions share; variance = gain^2 / fan."""

    _distribution = "untruncated_normal"

    def __init__(self, nonlinearity="relu", *, mode="fan_in", negative_slope=0.0, seed=None):
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(
                f'{type(self).__name__}: mode must be "fan_in" or "fan_out". Received: {mode!r}.'
            )
        super().__init__(
            scale=gain(nonlinearity, negative_slope) ** 2,
            mode=mode,
            distribution=self._distribution,
            seed=seed,
        )
        self.nonlinearity = nonlinearity
        self.negative_slope = negative_slope

    def get_config(self):
        return {
            "nonlinearity": self.nonlinearity,
            "mode": self.mode,
            "negative_slope": self.negative_slope,
            "seed": super().get_config()["seed"],
        }


@keras.saving.register_keras_serializable(package="kcnn")
class KaimingNormal(_Kaiming):
    """Normal weights of standard deviation gain / sqrt(fan), not truncated.

    `mode="fan_in"` keeps the size of activations on the way forward, `"fan_out"` that of
    gradients on the way back (torchvision's ResNets). For a kernel of shape
    (*space, in, out), fan_in = prod(space) * in and fan_out = prod(space) * out.
    With an integer `seed` every call gives the same values; without one, each differs.
    He et al., arXiv:1502.01852.

    Raises:
        ValueError: for an unknown nonlinearity or mode.
    """


@keras.saving.register_keras_serializable(package="kcnn")
class KaimingUniform(_Kaiming):
    """Uniform weights in +-gain * sqrt(3 / fan): the variance of `KaimingNormal`.

    Arguments and errors as there. He et al., arXiv:1502.01852.
    """

    _distribution = "uniform"
