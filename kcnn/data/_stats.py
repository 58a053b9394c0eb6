"""Mean and standard deviation of each channel, in one pass, exact in float64."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kcnn.data._record import DataError, Dataset, Split

__all__ = ["ChannelStats", "channel_stats", "normalization"]

_CHUNK = 1 << 21  # values turned into float64 at a time: 16 MiB


class ChannelStats:
    """Streaming statistics over every axis but the channels.

    Each piece gives its count, mean and sum of squared deviations in float64, and pieces are merged
    pairwise (Chan, Golub & LeVeque 1979), so nothing cancels at a large mean and no integer
    overflows. `data_format` is "channels_last" (default) or "channels_first".
    """

    def __init__(self, *, data_format: str = "channels_last") -> None:
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"ChannelStats: data_format={data_format!r}; expected 'channels_last' or "
                "'channels_first'."
            )
        self.data_format = data_format
        self.count = 0  # values seen in each channel
        self._mean: np.ndarray | None = None
        self._squares: np.ndarray | None = None  # sum of squared deviations from the mean

    def update(self, batch: Any) -> ChannelStats:
        """Take in a batch (n, h, w, c), or (n, c, h, w); returns itself. An empty one adds nothing.

        DataError for another number of channels than before, or NaN or infinite values.
        """
        x = np.asarray(batch)
        if x.ndim < 2 or x.dtype.kind not in "buif":
            raise DataError(
                f"ChannelStats: got {x.dtype} of shape {x.shape}; expected numbers (n, h, w, c)."
            )
        if self.data_format == "channels_first":
            x = np.moveaxis(x, 1, -1)
        if self._mean is not None and x.shape[-1] != len(self._mean):
            raise DataError(
                f"ChannelStats: got {x.shape[-1]} channels after batches of {len(self._mean)}."
            )
        if x.size == 0:
            return self
        rows = max(1, _CHUNK // int(np.prod(x.shape[1:])))
        for start in range(0, len(x), rows):
            values = x[start : start + rows].reshape(-1, x.shape[-1])
            values = np.ascontiguousarray(values.T, dtype=np.float64)
            mean = values.mean(axis=1)
            if not np.isfinite(mean).all():
                raise DataError("ChannelStats: the batch holds NaN or infinite values.")
            values = values - mean[:, None]  # a new array: `values` may be the caller's
            self._merge(values.shape[1], mean, np.einsum("cn,cn->c", values, values))
        return self

    def merge(self, other: ChannelStats) -> ChannelStats:
        """Take in what another instance has seen; returns itself."""
        if other._mean is not None and other._squares is not None:
            self._merge(other.count, other._mean, other._squares)
        return self

    def _merge(self, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
        if self._mean is None or self._squares is None:
            self.count, self._mean, self._squares = count, mean.copy(), squares.copy()
            return
        if len(mean) != len(self._mean):
            raise DataError(
                f"ChannelStats: {len(mean)} channels do not merge with {len(self._mean)}."
            )
        total = self.count + count
        delta = mean - self._mean
        self._mean = self._mean + delta * (count / total)
        self._squares = self._squares + squares + delta**2 * (self.count * (count / total))
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """Mean of each channel, float64 (c,)."""
        if self._mean is None:
            raise DataError("ChannelStats: no batch was seen yet; call update first.")
        return self._mean.copy()

    @property
    def variance(self) -> np.ndarray:
        """Population variance of each channel, float64 (c,)."""
        if self._squares is None:
            raise DataError("ChannelStats: no batch was seen yet; call update first.")
        return self._squares / self.count

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation of each channel, float64 (c,)."""
        return np.sqrt(self.variance)


def _images_of(element: Any) -> Any:
    if isinstance(element, dict):
        for key in ("images", "image", "x"):
            if key in element:
                return element[key]
        raise DataError(
            f"channel_stats: a batch has keys {sorted(element)}, none of them 'images'."
        )
    return element[0] if isinstance(element, tuple | list) else element


def channel_stats(data: Any, *, data_format: str = "channels_last") -> ChannelStats:
    """Statistics of an array (n, h, w, c), a `Split`, a `Dataset` (its training images), a
    `tf.data.Dataset` of batches, or any iterable of batches (images, or (images, labels))."""
    stats = ChannelStats(data_format=data_format)
    if isinstance(data, Dataset):
        data = data.train
    if isinstance(data, Split):
        data = data.x
    if (
        hasattr(data, "cardinality") and int(data.cardinality()) == -1
    ):  # tf.data.INFINITE_CARDINALITY
        raise DataError("channel_stats: the dataset repeats for ever; give it before repeat().")
    if isinstance(data, np.ndarray) or not isinstance(data, Iterable):
        return stats.update(data)
    for element in data:
        stats.update(_images_of(element))
    if stats.count == 0:
        raise DataError("channel_stats: no image was given.")
    return stats


def normalization(stats: ChannelStats, *, data_format: str | None = None, **kwargs: Any) -> Any:
    """A `keras.layers.Normalization` with these statistics, to stand first inside a model.

    y = (x - mean) / std of each channel. A channel without variance is only centred, so an unseen
    value in it is not blown up. It computes in float32 under every dtype policy. `data_format` is
    that of the model's images (Keras's default otherwise).
    """
    import keras

    data_format = data_format or keras.config.image_data_format()
    variance = stats.variance
    flat = variance <= (1e-7 * np.maximum(1.0, np.abs(stats.mean))) ** 2
    variance = np.where(flat, 1.0, variance)
    kwargs.setdefault("dtype", "float32")
    layer = keras.layers.Normalization
    if data_format != "channels_first":
        return layer(axis=-1, mean=stats.mean.tolist(), variance=variance.tolist(), **kwargs)
    try:  # Keras 3.12 wants them shaped to broadcast over an image, later ones flat
        shaped = [values.reshape(-1, 1, 1).tolist() for values in (stats.mean, variance)]
        return layer(axis=1, mean=shaped[0], variance=shaped[1], **kwargs)
    except ValueError:
        return layer(axis=1, mean=stats.mean.tolist(), variance=variance.tolist(), **kwargs)
