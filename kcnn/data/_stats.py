"""Mean and standard deviation of each channel, in one pass, exact in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from kcnn.data._progress import progress
from kcnn.data._record import DataError, Dataset, Split
from kcnn.data._rows import Arrays

__all__ = ["ChannelStats", "channel_stats"]

_CHUNK = 1 << 21  # values turned into float64 at a time: 16 MiB
_BATCH = 64  # images looked at together
_ENDLESS = -1  # tf.data.INFINITE_CARDINALITY
# Squares of uint8 fit into uint16, and this many of them into uint32.
_SQUARES = (1 << 32) // 255**2
_ROW = 1024  # pixels that are added side by side


class ChannelStats:
    """Streaming statistics over every axis but the channels.

    Each piece gives its count, mean and sum of squared deviations in float64, and pieces are merged
    pairwise (Chan, Golub & LeVeque 1979), so nothing cancels at a large mean and no integer
    overflows. `data_format` is "channels_last" (default) or "channels_first".

    >>> stats = ChannelStats()
    >>> stats.update(images).mean.shape
    (3,)
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

    def __repr__(self) -> str:
        if self._mean is None:
            return "ChannelStats(nothing seen)"
        mean, std = (np.array2string(row, precision=4) for row in (self.mean, self.std))
        return f"ChannelStats({self.count} values in each channel, mean={mean}, std={std})"

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
        if x.dtype == np.uint8:
            self._merge(*_of_whole_numbers(x.reshape(-1, x.shape[-1])))
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


def _of_whole_numbers(values: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Count, mean and sum of squared deviations of uint8 (n, c): sums of integers, exact."""
    count, channels = values.shape
    wide = np.ascontiguousarray(values)
    total, squares = np.zeros(channels, object), np.zeros(channels, object)
    step = _SQUARES // 2
    for start in range(0, count, step * _ROW):
        part = wide[start : start + step * _ROW]
        whole = len(part) // _ROW * _ROW
        for piece, row in ((part[:whole], _ROW), (part[whole:], 1)):
            table = piece.reshape(-1, row * channels)  # long rows: NumPy adds them fast
            square = np.multiply(table, table, dtype=np.uint16)
            for sums, values_of in ((total, table), (squares, square)):
                found = values_of.sum(axis=0, dtype=np.uint32).astype(np.uint64)
                sums += found.reshape(row, channels).sum(axis=0).astype(object)
    # (count * squares - total**2) / count, of Python's integers: rounded once.
    deviations = [
        (count * int(square) - int(sum_) ** 2) / count
        for square, sum_ in zip(squares, total, strict=True)
    ]
    mean = [int(sum_) / count for sum_ in total]
    return count, np.array(mean, np.float64), np.array(deviations, np.float64)


def channel_stats(
    data: Any, *, data_format: str = "channels_last", classes: int | None = None
) -> ChannelStats:
    """Statistics of all images, in one pass that holds a few batches at a time.

    data: an array (n, h, w, c), a `Split`, a `Dataset` (its training images), a `tf.data.Dataset`
        of batches, or any iterable of batches (images, or (images, labels)). The files of a split
        are decoded on all cores, and kept in its cache for the training.
    classes: where labels come along, they must be numbers below it.

    Raises DataError that says which image holds NaN or infinite pixels, or which label is none.

    >>> channel_stats(images).mean.shape
    (3,)
    """
    stats = ChannelStats(data_format=data_format)
    if isinstance(data, Dataset):
        data = data.train
    if isinstance(data, Split):
        batches, total = _images_of_split(data), len(data)
    elif isinstance(data, np.ndarray) or not isinstance(data, Iterable):
        array = np.asarray(data)
        batches, total = _chunks(array), len(array) if array.ndim else 0
    else:
        cardinality = int(data.cardinality()) if hasattr(data, "cardinality") else None
        if cardinality == _ENDLESS:
            raise DataError("channel_stats: the dataset repeats for ever; give it before repeat().")
        batches, total = iter(data), None
    seen = 0
    with progress("Statistics of the images", total) as advance:
        for element in batches:
            images, labels = _images_and_labels(element)
            images = np.asarray(images)
            if labels is not None:
                _check_labels(np.asarray(labels), seen, classes)
            try:
                stats.update(images)
            except DataError as error:
                raise DataError(_where(images, seen) or str(error)) from error
            seen += len(images)
            advance(len(images))
    if stats.count == 0:
        raise DataError("channel_stats: no image was given.")
    return stats


def _images_of_split(split: Split) -> Iterator[Any]:
    """As they are stored: uint8 where that is what files decode to."""
    if isinstance(split.rows, Arrays):
        numbers = np.arange(len(split))
        for start in range(0, len(split), _BATCH):
            yield split.rows.read(numbers[start : start + _BATCH])
        return
    from kcnn.data._pipeline import image_batches

    yield from image_batches(split, _BATCH).as_numpy_iterator()


def _chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    if array.ndim < 2:  # whoever takes it says what is wrong with it
        yield array
    for start in range(0, len(array) if array.ndim >= 2 else 0, _BATCH):
        yield array[start : start + _BATCH]


def _images_and_labels(element: Any) -> tuple[Any, Any]:
    if isinstance(element, dict):
        images = next((element[key] for key in ("images", "image", "x") if key in element), None)
        if images is None:
            raise DataError(
                f"channel_stats: a batch has keys {sorted(element)}, none of them 'images'."
            )
        return images, next((element[k] for k in ("labels", "label", "y") if k in element), None)
    if isinstance(element, tuple | list):
        return element[0], element[1] if len(element) > 1 and np.ndim(element[1]) else None
    return element, None


def _where(images: np.ndarray, seen: int) -> str | None:
    """Which of the images is not finite, counted over the whole data."""
    if images.dtype.kind != "f":
        return None
    bad = ~np.isfinite(images).reshape(len(images), -1).all(axis=1)
    if not bad.any():
        return None
    return (
        f"channel_stats: image {seen + int(np.argmax(bad))} holds NaN or infinite values; remove "
        "or repair it."
    )


def _check_labels(labels: np.ndarray, seen: int, classes: int | None) -> None:
    values = labels.reshape(len(labels), -1) if labels.ndim else labels.reshape(1, 1)
    bad = np.zeros(len(values), bool)
    if values.dtype.kind == "f":
        bad |= ~np.isfinite(values).all(axis=1)
    if values.dtype.kind in "iuf" and values.shape[1] == 1:
        bad |= values[:, 0] < 0
        if classes is not None:
            bad |= values[:, 0] >= classes
    if bad.any():
        first = int(np.argmax(bad))
        rule = f"0..{classes - 1}" if classes is not None else "numbers from 0"
        raise DataError(
            f"channel_stats: the label of image {seen + first} is {labels[first]}; expected {rule}."
        )
