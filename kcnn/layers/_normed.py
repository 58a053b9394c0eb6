"""What layers of images share, those with a normalization inside, and those with a branch."""

from typing import Any

import keras

from kcnn.layers._image import ImageLayer
from kcnn.layers._norm import norm as make_norm
from kcnn.layers._squeeze_excitation import SqueezeExcitation
from kcnn.layers._stochastic_depth import StochasticDepth
from kcnn.layers._typed import Activation, ImageArguments, Norm, NormedArguments, Unpack

__all__ = ["BranchLayer", "NormedLayer"]


class NormedLayer(ImageLayer):
    """A layer of images with a normalization and an activation inside."""

    def __init__(
        self,
        *,
        norm: Norm = "batch",
        norm_kwargs: dict[str, Any] | None = None,
        activation: Activation = "relu",
        kernel_regularizer: Any = None,
        **kwargs: Unpack[ImageArguments],
    ):
        super().__init__(**kwargs)
        self.norm_kind = norm
        self.norm_kwargs = dict(norm_kwargs or {})
        self.activation = keras.activations.get(activation)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def _norm(self, name: str, channels: int, **options: Any) -> Any:
        """A normalization as the arguments want it."""
        options = {"data_format": self.data_format, "dtype": self.dtype_policy, **options}
        return make_norm(
            self.norm_kind, channels=channels, name=name, **{**options, **self.norm_kwargs}
        )

    @property
    def _parts(self) -> dict[str, Any]:
        """What every `ConvNormAct` inside takes."""
        return {
            "norm": self.norm_kind,
            "norm_kwargs": self.norm_kwargs,
            "activation": self.activation,
            "kernel_regularizer": self.kernel_regularizer,
            "data_format": self.data_format,
            "dtype": self.dtype_policy,
        }


class BranchLayer(NormedLayer):
    """A block with a residual branch: `excite` and `depth` may stand at its end."""

    def __init__(
        self, *, drop_path: float = 0.0, seed: int | None = None, **kwargs: Unpack[NormedArguments]
    ):
        super().__init__(**kwargs)
        self.drop_path = drop_path
        self.seed = seed
        self.excite: Any = None
        self.depth: Any = None

    def _drop_path(self) -> StochasticDepth | None:
        if not self.drop_path:
            return None
        return StochasticDepth(
            self.drop_path, seed=self.seed, dtype=self.dtype_policy, name="drop_path"
        )

    def _excitation(self, filters: int, **options: Any) -> SqueezeExcitation:
        return SqueezeExcitation(
            filters,
            data_format=self.data_format,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name="excite",
            **options,
        )
