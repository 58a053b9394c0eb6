"""The pairs of image and label in a `tf.data.Dataset` or `keras.utils.PyDataset`, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcnn.data._record import DataError

__all__ = ["Elements", "elements_of"]

_CHANNELS = (1, 3, 4)  # a last axis of so many says: one image (h, w, c), not many (n, h, w)
_IMAGE, _LABEL = ("image", "images", "x"), ("label", "labels", "y")


@dataclass(frozen=True, eq=False)
class Elements:
    """Single images and labels: `pairs()` as NumPy values, `images()` as a `tf.data.Dataset`."""

    pairs: Callable[[], Iterator[tuple[Any, Any]]]
    images: Callable[[], Any]
    length: int | None


def elements_of(data: Any, *, who: str) -> Elements:
    """What `data` gives, batched or not; DataError for anything but pairs, or for no end."""
    return _of_tensorflow(data, who) if hasattr(data, "element_spec") else _of_keras(data, who)


def _of_tensorflow(data: Any, who: str) -> Elements:
    import tensorflow as tf

    length = int(data.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise DataError(f"{who}: repeats for ever; give it before repeat().")
    image_key, label_key = _keys(data.element_spec, who)
    spec = data.element_spec[image_key]
    rank = spec.shape.rank
    if spec.dtype == tf.string:
        batched, fits = rank == 1, rank in (0, 1)
    else:
        batched = rank == 4 or (rank == 3 and spec.shape[2] not in _CHANNELS)
        fits = rank in (2, 3, 4)
    if not fits:
        raise DataError(
            f"{who}: images of shape {spec.shape} and dtype {spec.dtype.name}; expected images "
            "(height, width, channels), batches of such, or the bytes of image files."
        )

    def singles() -> Any:
        pairs = data.map(lambda *element: _pair(element, image_key, label_key))
        return pairs.unbatch() if batched else pairs

    return Elements(
        lambda: singles().as_numpy_iterator(),
        lambda: singles().map(lambda image, _: image),
        None if batched or length < 0 else length,
    )


def _pair(element: tuple[Any, ...], image_key: Any, label_key: Any) -> tuple[Any, Any]:
    found = element[0] if isinstance(element[0], dict) else element
    return found[image_key], found[label_key]


def _keys(spec: Any, who: str) -> tuple[Any, Any]:
    if isinstance(spec, dict):
        image = next((key for key in _IMAGE if key in spec), None)
        label = next((key for key in _LABEL if key in spec), None)
        if image is not None and label is not None:
            return image, label
        raise DataError(f"{who}: elements with {sorted(spec)}; expected 'image' and 'label'.")
    if isinstance(spec, tuple) and len(spec) == 2 and all(hasattr(part, "shape") for part in spec):
        return 0, 1
    raise DataError(f"{who}: elements {spec}; expected pairs (image, label).")


def _of_keras(data: Any, who: str) -> Elements:
    batches = data.num_batches
    if batches is None:
        raise DataError(f"{who}: a PyDataset without end; give one whose num_batches is known.")
    if batches < 1:
        raise DataError(f"{who}: a PyDataset without a batch.")
    first = data[0]
    if not (
        isinstance(first, tuple) and len(first) == 2 and all(hasattr(a, "shape") for a in first)
    ):
        raise DataError(
            f"{who}: a PyDataset whose batches are no pairs (images, labels) of arrays."
        )
    x = np.asarray(first[0])
    if x.ndim not in (3, 4):
        raise DataError(
            f"{who}: batches of images of shape {x.shape}; expected (n, height, width, channels)."
        )

    def pairs() -> Iterator[tuple[Any, Any]]:
        for number in range(batches):
            images, labels = data[number]
            yield from zip(np.asarray(images), np.asarray(labels), strict=True)

    def images() -> Any:
        import tensorflow as tf

        shape = (None, None, x.shape[3]) if x.ndim == 4 else (None, None)
        return tf.data.Dataset.from_generator(
            lambda: (image for image, _ in pairs()),
            output_signature=tf.TensorSpec(shape, tf.as_dtype(x.dtype)),
        )

    return Elements(pairs, images, None)
