"""Average pooling to a grid of fixed size, whatever the size of the image."""

from typing import Any

import keras
from keras import ops

__all__ = ["GridAveragePooling"]


@keras.saving.register_keras_serializable(package="kcnn")
class GridAveragePooling(keras.layers.Layer):
    """Average an image over a grid of `size` x `size` cells; the identity if it has that size.

    (batch, h, w, c) -> (batch, size, size, c), or with the channels first. Cell i of n
    spans the pixels floor(i h / n) to ceil((i + 1) h / n), so cells overlap where n does
    not divide h and repeat pixels where h < n, as PyTorch's adaptive pooling does.
    """

    def __init__(self, size: int, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size
        self.data_format = data_format or keras.config.image_data_format()

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        axis = 2 if first else 1
        if tuple(inputs.shape[axis : axis + 2]) == (self.size, self.size):
            return inputs
        shape = ops.shape(inputs)
        rows = self._cells(shape[axis], inputs.dtype)
        columns = self._cells(shape[axis + 1], inputs.dtype)
        if first:
            x = ops.matmul(rows, inputs)  # (n, h) @ (h, w)
            return ops.matmul(x, ops.transpose(columns))
        x = ops.einsum("ih,bhwc->biwc", rows, inputs)
        return ops.einsum("jw,biwc->bijc", columns, x)

    def _cells(self, length: Any, dtype: str) -> Any:
        """(size, length): row i holds 1 / (pixels of cell i) at its pixels, 0 elsewhere."""
        cell = ops.arange(self.size, dtype="int32")[:, None]
        pixel = ops.arange(length, dtype="int32")[None, :]
        begin = cell * length // self.size
        end = -(-(cell + 1) * length // self.size)
        inside = ops.cast((pixel >= begin) & (pixel < end), "float32")
        return ops.cast(inside / ops.cast(end - begin, "float32"), dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        cells = (self.size, self.size)
        if self.data_format == "channels_first":
            return (*input_shape[:2], *cells)
        return (input_shape[0], *cells, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}
