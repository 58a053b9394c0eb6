"""A `tf.data.Dataset` or a `keras.utils.PyDataset` of the user's own, read as a stream."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from kcnn.data._checks import named_labels, numbered_labels
from kcnn.data._elements import Elements, elements_of
from kcnn.data._record import DataError
from kcnn.data._rows import Stream
from kcnn.data._source import LoadOptions, Part, SourceData, register_source
from kcnn.data._survey import refuse_other_order, survey

__all__ = ["load_stream"]

_PARTS = ("train", "val", "test")


def load_stream(source: Any, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`. One pass counts labels and checks pixels; nothing of it is kept."""
    given = source if isinstance(source, dict) else {"train": source}
    if "train" not in given or set(given) - set(_PARTS):
        raise DataError(
            f"load: a dict with {', '.join(map(repr, given))}; expected 'train' and perhaps 'val' "
            "and 'test'."
        )
    names = options.class_names
    parts: dict[str, Part] = {}
    notes, prints = [], []
    for part, data in given.items():
        who = f"{part} stream"
        elements = elements_of(data, who=who)
        seen = survey(elements, who=who)
        if part == "train":
            sizes, channels = seen.sizes, seen.channels
        if channels != seen.channels:
            raise DataError(f"{who}: {seen.channels} channels, but {channels} in training.")
        if isinstance(source, dict) is False:
            refuse_other_order(elements, seen, who=who)
        numbers, names = named_labels(seen.labels, names, who)
        several = any(found.labels.ndim == 2 for found in parts.values())
        labels, said = numbered_labels(numbers, names, who=who, several=several)
        classes = labels.shape[1] if labels.ndim == 2 else int(labels.max(initial=-1)) + 1
        names = names or [str(number) for number in range(classes)]
        notes += [*said, *seen.notes]
        parts[part] = Part(_stream(elements, labels, seen.scale), labels)
        prints.append(f"{part} {seen.fingerprint}")
    return SourceData(
        name="stream",
        parts=parts,
        class_names=list(names or ()),
        sizes=sizes,
        channels=channels,
        notes=notes,
        fingerprint=" ".join(prints),
    )


def _stream(elements: Elements, labels: np.ndarray, scale: float) -> Stream:
    """The images as they are read, in 0..255, with the labels that the survey found for them."""

    def make() -> Any:
        import tensorflow as tf

        def image(pixels: Any) -> Any:
            if pixels.dtype == tf.string:
                return pixels
            pixels = pixels[..., None] if pixels.shape.rank == 2 else pixels
            return tf.cast(pixels, tf.float32) * scale if scale != 1.0 else pixels

        images = elements.images().map(image, num_parallel_calls=2, deterministic=True)
        return tf.data.Dataset.zip((images, tf.data.Dataset.from_tensor_slices(labels)))

    return Stream(make, len(labels))


def _matches(source: Any) -> bool:
    if isinstance(source, dict):
        return bool(source) and all(_matches(part) for part in source.values())
    if "keras" in sys.modules:
        import keras

        if isinstance(source, keras.utils.PyDataset):
            return True
    return hasattr(source, "element_spec") and hasattr(source, "cardinality")


register_source("stream", matches=_matches, load=load_stream)
