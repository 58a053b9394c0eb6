"""Stochastic depth."""

from typing import Any

import keras
from keras import ops

from kcnn.layers._typed import BaseArguments, ConfiguredLayer, Unpack, registered

__all__ = ["StochasticDepth"]


@registered
class StochasticDepth(ConfiguredLayer):
    """Drop the whole tensor of a sample with probability `rate` while training.

    Kept samples are divided by 1 - rate, so that inference changes nothing. Shape: any
    to the same. Put it on a residual branch. Huang et al., arXiv:1603.09382.

    Args:
        rate: probability of dropping, in [0, 1).
        seed: integer for reproducible draws.

    Raises:
        ValueError: for a rate outside [0, 1).

    >>> float(keras.ops.max(StochasticDepth(0.5)(keras.ops.ones((1, 4)), training=False)))
    1.0
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: Unpack[BaseArguments]):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                f"StochasticDepth {self.name!r}: rate must be in [0, 1). Received: {rate!r}."
            )
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate > 0 else None
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0], *[1] * (len(inputs.shape) - 1))
        keep = 1.0 - self.rate
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        mask = ops.cast(ops.where(draw < keep, 1.0 / keep, 0.0), inputs.dtype)
        return inputs * mask
