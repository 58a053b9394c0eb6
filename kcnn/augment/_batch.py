"""What comes to a layer, as one batch, and the way back to the structure it came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kcnn.augment._boxes import Boxes

__all__ = ["Batch", "opened"]


@dataclass(frozen=True)
class Batch:
    """images (b, h, w, c); labels (b, k), masks (b, h, w, m) and boxes, or None."""

    images: Any
    labels: Any = None
    masks: Any = None
    boxes: Boxes | None = None


@dataclass(frozen=True)
class _Axes:
    """How the images came: one or a batch, their channels first or last."""

    single: bool
    first: bool

    def opened(self, x: Any) -> Any:
        """(b, h, w, c)."""
        x = x[None] if self.single else x
        return tf.transpose(x, (0, 2, 3, 1)) if self.first else x

    def closed(self, x: Any) -> Any:
        x = tf.transpose(x, (0, 3, 1, 2)) if self.first else x
        return x[0] if self.single else x


def opened(given: dict[str, Any], layer: Any) -> tuple[Batch, Callable[[Batch], dict[str, Any]]]:
    """The batch in a dictionary, as far as `layer` changes it, and what puts another in its place.

    Raises ValueError where something has no shape that the layer can take.
    """
    images = tf.convert_to_tensor(given["images"])
    axes = _axes(images, layer)
    batch = Batch(axes.opened(images))
    ways: list[Callable[[Batch], dict[str, Any]]] = [lambda b: {"images": axes.closed(b.images)}]
    parts: dict[str, Any] = {}
    if layer.mixes_labels:
        parts["labels"] = _labels(given, axes, layer)
        ways.append(lambda b: {"labels": b.labels})
    moves = layer.moves_pixels or layer.mixes_labels
    if moves and "segmentation_masks" in given:
        parts["masks"], close = _masks(given["segmentation_masks"], axes, images, layer)
        ways.append(lambda b: {"segmentation_masks": close(b.masks)})
    if moves and "bounding_boxes" in given:
        parts["boxes"], write = _boxes(given["bounding_boxes"], axes, batch.images, layer)
        ways.append(lambda b: {"bounding_boxes": write(b)})
    batch = Batch(batch.images, **parts)
    return batch, lambda b: {key: value for way in ways for key, value in way(b).items()}


def _axes(images: Any, layer: Any) -> _Axes:
    first = layer.channels_first
    channels = images.shape[-3 if first else -1] if images.shape.rank in (3, 4) else None
    if channels is None:
        wanted = "(b, c, h, w) or (c, h, w)" if first else "(b, h, w, c) or (h, w, c)"
        raise ValueError(
            f"{layer.name}: got images of shape {images.shape}; expected {wanted} with a known "
            "number of channels."
        )
    return _Axes(images.shape.rank == 3, first)


def _labels(given: dict[str, Any], axes: _Axes, layer: Any) -> Any:
    kind = type(layer).__name__
    if given.get("labels") is None:
        raise ValueError(
            f"{layer.name}: {kind} changes labels too; give a dictionary with 'images' and one-hot "
            "'labels'."
        )
    labels = tf.convert_to_tensor(given["labels"])
    if axes.single or labels.shape.rank != 2 or not labels.dtype.is_floating:
        raise ValueError(
            f"{layer.name}: got {labels.dtype.name} labels {labels.shape} for {kind}; expected "
            "one-hot float labels (b, k) beside a batch of images (keras.ops.one_hot makes them)."
        )
    return labels


def _masks(given: Any, axes: _Axes, images: Any, layer: Any) -> tuple[Any, Callable[[Any], Any]]:
    masks = tf.convert_to_tensor(given)
    flat = masks.shape.rank == images.shape.rank - 1
    if not flat and masks.shape.rank != images.shape.rank:
        raise ValueError(
            f"{layer.name}: got segmentation_masks {masks.shape} beside images {images.shape}; "
            "expected the images' shape but for the channels, or without them."
        )
    channel = -3 if axes.first else -1
    masks = axes.opened(tf.expand_dims(masks, channel) if flat else masks)

    def close(masks: Any) -> Any:
        masks = axes.closed(masks)
        return tf.squeeze(masks, channel) if flat else masks

    return masks, close


def _dense(x: Any, filling: float) -> Any:
    return x.to_tensor(filling) if isinstance(x, tf.RaggedTensor) else tf.convert_to_tensor(x)


def _size(images: Any) -> tuple[Any, Any]:
    shape = tf.shape(images)
    return tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)


def _boxes(
    given: Any, axes: _Axes, images: Any, layer: Any
) -> tuple[Boxes, Callable[[Batch], dict[str, Any]]]:
    layout = layer.bounding_box_format
    if layout is None:
        raise ValueError(
            f"{layer.name}: got bounding_boxes; say what their numbers are, for instance "
            "bounding_box_format='xyxy'."
        )
    if not isinstance(given, dict) or "boxes" not in given:
        raise ValueError(
            f"{layer.name}: got bounding_boxes without 'boxes'; expected a dictionary with 'boxes' "
            "(b, n, 4) and 'labels' or 'classes' (b, n)."
        )
    key = "classes" if "classes" in given else "labels"
    boxes, classes = _dense(given["boxes"], 0), given.get(key)
    classes = None if classes is None else _dense(classes, -1)
    if boxes.shape.rank != (2 if axes.single else 3) or boxes.shape[-1] != 4:
        wanted = "(n, 4) for one image" if axes.single else "(b, n, 4) for a batch"
        raise ValueError(f"{layer.name}: got boxes {boxes.shape}; expected {wanted}.")

    def one(x: Any) -> Any:
        return x if x is None or not axes.single else x[None]

    def write(batch: Batch) -> dict[str, Any]:
        assert batch.boxes is not None
        numbers = batch.boxes.written(layout, *_size(batch.images))
        numbers = tf.cast(numbers, boxes.dtype) if boxes.dtype.is_floating else numbers
        out = {"boxes": numbers[0] if axes.single else numbers}
        if classes is not None:
            out[key] = batch.boxes.classes[0] if axes.single else batch.boxes.classes
        return {**given, **out}

    return Boxes.read(one(boxes), one(classes), layout, *_size(images)), write
