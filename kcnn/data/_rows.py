"""Where the images of a split lie: in arrays, in files, or in a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Arrays", "Files", "Rows", "Stream"]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Image i is `x[index[i]] * scale`; `x` (n, h, w[, c]) lies in memory or is memory-mapped.

    Without `index` image i is `x[i]`.

    >>> Arrays(np.zeros((3, 8, 8), np.uint8)).read([0, 2]).shape
    (2, 8, 8, 1)
    """

    x: Any
    index: np.ndarray | None = None
    scale: float = 1.0  # brings the values to 0..255

    def __len__(self) -> int:
        return len(self.x if self.index is None else self.index)

    @property
    def in_memory(self) -> bool:
        """Whether reading an image touches no disk."""
        return not isinstance(self.x, np.memmap)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of every image."""
        height, width, *channels = self.x.shape[1:]
        return int(height), int(width), int(channels[0]) if channels else 1

    @cached_property
    def tensor(self) -> Any:
        """All images as one tensor on the CPU, made once for all pipelines (in memory only)."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            return tf.convert_to_tensor(self.read(np.arange(len(self))) if self._lazy else self.x)

    @property
    def _lazy(self) -> bool:
        return self.index is not None or self.scale != 1.0 or self.x.ndim == 3

    @property
    def dtype(self) -> Any:
        """Of the images that `read` gives: uint8 or float32."""
        whole = self.x.dtype == np.uint8 and self.scale == 1.0
        return np.dtype(np.uint8 if whole else np.float32)

    def read(self, numbers: Any) -> np.ndarray:
        """Images `numbers` (k,) as (k, h, w, c): uint8 as they are, others float32 in 0..255."""
        numbers = np.asarray(numbers)
        images = np.asarray(self.x[numbers if self.index is None else self.index[numbers]])
        if self.dtype != np.uint8:
            images = images.astype(np.float32) * np.float32(self.scale)
        return images[..., None] if images.ndim == 3 else images

    def take(self, numbers: np.ndarray) -> Arrays:
        """The images `numbers` alone; what lies in memory is copied, what is mapped is not."""
        if self.in_memory and not self._lazy:
            return Arrays(self.x[numbers])
        return Arrays(
            self.x, numbers if self.index is None else self.index[numbers], scale=self.scale
        )


@dataclass(frozen=True, eq=False)
class Files:
    """Image i is the file `paths[i]`; its header said height, width (as shown upright) and format.

    `formats` holds "jpeg", "png", "gif", "bmp" or "webp"; `orientations` the EXIF value (1 = none).

    >>> sides, formats = np.array([8, 9]), np.array(["png", "jpeg"])
    >>> len(Files([b"a.png", b"b.jpg"], sides, sides, formats, np.ones(2, int)))
    2
    """

    paths: Sequence[bytes] | np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    formats: np.ndarray
    orientations: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    in_memory = False
    dtype = np.dtype(np.uint8)

    @property
    def keys(self) -> np.ndarray:
        """What a cache knows each image by."""
        return np.asarray(self.paths)

    def take(self, numbers: np.ndarray) -> Files:
        """The files `numbers` alone."""
        return Files(
            np.asarray(self.paths)[numbers],
            self.heights[numbers],
            self.widths[numbers],
            self.formats[numbers],
            self.orientations[numbers],
        )


@dataclass(frozen=True, eq=False)
class Stream:
    """`make()` gives a `tf.data.Dataset` of (image or encoded bytes, label), each time the same.

    keys: what a cache knows each element by; numbers that no other stream of the data set has.

    >>> import tensorflow as tf
    >>> stream = Stream(lambda: tf.data.Dataset.from_tensor_slices((images, range(4))), 4)
    >>> [int(label) for _, label in stream.take(np.array([0, 3])).make()]
    [0, 3]
    """

    make: Callable[[], Any]
    length: int | None = None  # elements, where known
    keys: np.ndarray | None = None

    in_memory = False

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("a stream of unknown length")
        return self.length

    @property
    def dtype(self) -> Any:
        """Of its images as they are decoded: uint8, also for encoded pictures, or float32."""
        whole = self.make().element_spec[0].dtype.name in ("uint8", "string")
        return np.dtype(np.uint8 if whole else np.float32)

    def take(self, numbers: np.ndarray) -> Stream:
        """The elements `numbers` alone, in the order of the stream."""
        wanted = np.zeros(max(int(np.max(numbers, initial=-1)) + 1, 1), bool)
        wanted[numbers] = True

        def make() -> Any:
            import tensorflow as tf

            keep = tf.constant(wanted)
            rows = self.make().take(len(wanted)).enumerate().filter(lambda i, _: keep[i])
            return rows.map(lambda _, row: row)

        keys = None if self.keys is None else self.keys[np.sort(numbers)]
        return Stream(make, len(numbers), keys)


Rows = Arrays | Files | Stream
