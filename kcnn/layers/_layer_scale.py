"""LayerScale."""

from typing import Any

import keras

from kcnn.layers._typed import BaseArguments, ConfiguredLayer, Shape, Unpack, registered

__all__ = ["LayerScale"]


@registered
class LayerScale(ConfiguredLayer):
    """x * gamma, one gamma for each channel, small at first. Shape: any to the same.

    Put it at the end of a residual branch of a deep network: every block then starts near
    the identity. Touvron et al., arXiv:2103.17239.

    Args:
        initial: value of gamma at the start.

    >>> float(keras.ops.max(LayerScale(0.5)(keras.ops.ones((1, 4)))))
    0.5
    """

    def __init__(self, initial: float = 1e-6, **kwargs: Unpack[BaseArguments]):
        super().__init__(**kwargs)
        self.initial = initial
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        self.gamma = self.add_weight(
            name="gamma",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial),
        )

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma
