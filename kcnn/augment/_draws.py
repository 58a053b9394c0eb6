"""Random numbers for a batch, one for each image."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

__all__ = ["Draws"]


class Draws:
    """Random numbers for one batch, one for each image, all from one seed.

    They are drawn many at a time and handed out: an operation for each would cost more than the
    numbers. batch: number of images; height and width: of the images as a layer gets them, float32;
    size: the same as integers, None where the graph does not know them.
    """

    ROWS = 48  # numbers drawn at a time for each image: enough for most chains

    def __init__(self, seed: Any, images: Any) -> None:
        shape = tf.shape(images)
        self.batch, self.channels = shape[0], images.shape[3]
        self.height, self.width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
        self.size = (images.shape[1], images.shape[2])
        self._seed, self._seeds = seed, 0
        self._rows: Any = None
        self._used = self.ROWS

    def resized(self, size: tuple[int | None, int | None]) -> None:
        """From here on images have this size; None leaves a side as it is."""
        height, width = size
        if height is not None:
            self.height = tf.constant(float(height))
        if width is not None:
            self.width = tf.constant(float(width))
        self.size = (height or self.size[0], width or self.size[1])

    def next_seed(self) -> Any:
        """A fresh seed (2,) for a stateless operation of TensorFlow."""
        self._seeds += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._seeds, alg="philox")

    def _fresh_rows(self) -> Any:
        """Uniform in [0, 1), float32 (ROWS, b), from whole bits: XLA makes other floats of them."""
        bits = tf.random.stateless_uniform(
            (self.ROWS, self.batch), self.next_seed(), None, None, tf.uint32, alg="philox"
        )
        return (
            tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2.0**24
        )

    def uniform(self, low: float = 0.0, high: float = 1.0, tries: int | None = None) -> Any:
        """Uniform in [low, high), float32 (b,), or (tries, b)."""
        count = tries or 1
        if self._used + count > self.ROWS:
            self._rows, self._used = self._fresh_rows(), 0
        start, self._used = self._used, self._used + count
        drawn = self._rows[start] if tries is None else self._rows[start : self._used]
        return drawn if (low, high) == (0.0, 1.0) else low + (high - low) * drawn

    def log_uniform(self, low: float, high: float, tries: int | None = None) -> Any:
        """Uniform in its logarithm between `low` and `high`, float32 (b,), or (tries, b)."""
        return tf.exp(self.uniform(math.log(low), math.log(high), tries))

    def chance(self, rate: float) -> Any:
        """True with probability `rate`, bool (b,)."""
        return self.uniform() < rate

    def first_that_fits(self, height: Any, width: Any) -> tuple[Any, Any, Any]:
        """Of sides (tries, b) the first pair within the image (b,), and whether there is one."""
        fits = (height <= self.height) & (width <= self.width)
        pick = tf.one_hot(tf.argmax(fits, axis=0), height.shape[0], axis=0)
        found = tf.reduce_any(fits, axis=0)
        return found, tf.reduce_sum(height * pick, axis=0), tf.reduce_sum(width * pick, axis=0)

    def sign(self) -> Any:
        """1 or -1, float32 (b,)."""
        return tf.where(self.uniform() < 0.5, -1.0, 1.0)

    def noise(self) -> Any:
        """Half-normal noise as bright as 0..255, float32 (b, h, w, c): half of it is 0."""
        height, width = (tf.cast(side, tf.int32) for side in (self.height, self.width))
        shape = (self.batch, height, width, self.channels)
        normal = tf.random.stateless_normal(shape, self.next_seed())
        return tf.clip_by_value(255.0 * normal, 0.0, 255.0)

    def others(self) -> Any:
        """For each image another one of the batch, int32 (b,); itself only where it is alone.

        The images stand in a ring in random order, and each gets the next: every other image is as
        likely, and each is taken once.
        """
        ring = tf.argsort(self.uniform())
        return tf.scatter_nd(ring[:, None], tf.roll(ring, -1, axis=0), tf.shape(ring))
