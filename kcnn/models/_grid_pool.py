"""Average pooling to a grid of fixed size, whatever the size of the image."""

from typing import Any

from keras import ops

from kcnn.layers._image import ImageLayer
from kcnn.layers._typed import ImageArguments, Unpack, registered

__all__ = ["GridAveragePooling"]


@registered
class GridAveragePooling(ImageLayer):
    """Average an image over a grid of `size` x `size` cells; the identity if it has that size.

    (batch, h, w, c) -> (batch, size, size, c), or with the channels first. Cell i of n
    spans the pixels floor(i h / n) to ceil((i + 1) h / n), so cells overlap where n does
    not divide h and repeat pixels where h < n, as PyTorch's adaptive pooling does.
    """

    def __init__(self, size: int, **kwargs: Unpack[ImageArguments]):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: Any) -> Any:
        sizes, shape = [inputs.shape[i] for i in self.space_axes], ops.shape(inputs)
        if sizes == [self.size, self.size]:
            return inputs
        rows, columns = (self._cells(shape[i], inputs.dtype) for i in self.space_axes)
        if self.channels_first:  # (n, h) @ (h, w) @ (w, n)
            return ops.matmul(ops.matmul(rows, inputs), ops.transpose(columns))
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
        sizes = [self.size if i in self.space_axes else n for i, n in enumerate(input_shape)]
        return tuple(sizes)
