"""Several layers as one: neighbours that move pixels share one warp, colours one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kcnn.augment._base import AugmentationLayer

__all__ = ["Pipeline"]


@keras.saving.register_keras_serializable(package="kcnn")
class Pipeline(AugmentationLayer):
    """Layers of `kcnn.augment` done one after the other, in as few passes as they allow.

    Warps that follow each other read the image once (so it is interpolated once, and what an
    earlier one moved out of sight can come back with a later one) if they share `interpolation`,
    `fill_mode` and `fill_value`; colour changes that follow each other are one matrix (values are
    clipped at their end). One that holds a layer with `mixes_labels` has it too. The random numbers
    come from the pipeline's `seed`, those of its layers play no part.

    >>> from kcnn.augment import Pipeline, RandomFlip
    >>> Pipeline([RandomFlip("horizontal")], seed=0)(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self, layers: Sequence[AugmentationLayer], *, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        for layer in layers:
            if not isinstance(layer, AugmentationLayer) or isinstance(layer, Pipeline):
                raise ValueError(
                    f"Pipeline: got {type(layer).__name__}; expected layers of kcnn.augment (chain "
                    "others with keras_cv.layers.Augmenter or one after the other)."
                )
        self.layers = list(layers)
        self.moves_pixels = any(layer.moves_pixels for layer in layers)
        self.mixes_labels = any(layer.mixes_labels for layer in layers)
        self.refuses = frozenset().union(*(layer.refuses for layer in layers))

    def output_size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        for layer in self.layers:
            height, width = layer.output_size(height, width)
        return height, width

    def _chain(self) -> Sequence[AugmentationLayer]:
        return self.layers

    def get_config(self) -> dict[str, Any]:
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.layers]
        return {**super().get_config(), "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Pipeline:
        config = dict(config)
        config["layers"] = [
            keras.saving.deserialize_keras_object(layer) for layer in config["layers"]
        ]
        return cls(**config)
