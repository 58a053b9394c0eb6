"""The first layer of a model: pixels 0..255 to the numbers that it computes with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["PreprocessingLayer"]

# Relative to the mean: float32 pixels of one single value come out no flatter than this.
FLAT = 1e-7


@keras.saving.register_keras_serializable(package="kcnn")
class PreprocessingLayer(keras.layers.Layer):
    """(pixels * scale + offset - mean) / std of each channel, in float32 under every policy.

    Shape: (batch, height, width, channels), or channels first, to the same. Its config carries the
    whole `Preprocessing`, so a `.keras` file alone tells how its pictures are made. A channel whose
    std is (nearly) zero is only centred. The numbers are constants, no weights.

    preprocessing: a `Preprocessing`, or its config.
    data_format: that of the model's images, Keras's default unless given.

    >>> kcnn.preprocessing.Preprocessing(8, scale=1 / 255).layer()(images).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(
        self, preprocessing: Any, *, data_format: str | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        config = getattr(preprocessing, "get_config", lambda: preprocessing)()
        self.preprocessing: dict[str, Any] = dict(config)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{self.name}: data_format={data_format!r}; expected 'channels_last' or "
                "'channels_first'."
            )

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        expected = self.preprocessing["channels"]
        if input_shape[axis] not in (None, expected):
            raise ValueError(
                f"{self.name}: got images of shape {tuple(input_shape)} with "
                f"{input_shape[axis]} channels; its preprocessing is for {expected} "
                f"({self.data_format})."
            )
        self.built = True

    def _broadcast(self, values: Any) -> Any:
        values = np.asarray(values, np.float32)
        return values if self.data_format == "channels_last" else values.reshape(-1, 1, 1)

    def call(self, inputs: Any) -> Any:
        config = self.preprocessing
        x = keras.ops.cast(inputs, "float32")
        if config["scale"] != 1.0:
            x = x * config["scale"]
        mean = np.asarray(config["mean"] or [0.0], np.float64)
        if (shift := mean - config["offset"]).any():
            x = x - self._broadcast(shift)
        std = np.asarray(config["std"] or [1.0], np.float64)
        std = np.where(std <= FLAT * np.maximum(1.0, np.abs(mean)), 1.0, std)
        if (std != 1.0).any():
            x = x * self._broadcast(1.0 / std)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "preprocessing": self.preprocessing,
            "data_format": self.data_format,
        }
