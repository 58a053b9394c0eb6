"""Any image classification set of tensorflow-datasets, by its name."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._headers import BadImage, read_header
from kcnn.data._manifest import shown
from kcnn.data._record import DataError
from kcnn.data._rows import Stream
from kcnn.data._source import LoadOptions, Part, SourceData, register_source
from kcnn.data._tfds_build import find_builder, prepare, quietly

__all__ = ["load_tfds"]

_PARTS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}
_MIRROR_CHANGES = re.compile(  # sets of characters and of signs that point somewhere
    r"(?<!fashion_)mnist|svhn|omniglot|digit|letter|cmaterdb|gtsrb|dmlab|smallnorb"
)
_SUFFIXES = (".npz", ".npy", ".csv", ".tsv", ".parquet")
_LOOK = 512  # images looked at to find a common size


def _keys(builder: Any, name: str) -> tuple[str, str]:
    """The names of the one image and the one class label among the features."""
    import tensorflow_datasets as tfds

    features = dict(builder.info.features) if hasattr(builder.info.features, "keys") else {}
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
        and not isinstance(feature, tfds.features.LabeledImage)
    ]
    labels = [key for key, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    pair = builder.info.supervised_keys
    if pair and len(pair) == 2 and pair[0] in images and pair[1] in labels:
        return str(pair[0]), str(pair[1])
    if "image" in images and "label" in labels:
        return "image", "label"
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    raise DataError(
        f"{name}: not an image classification set (one image and one class label are needed); its "
        f"features are {', '.join(sorted(features)) or builder.info.features}."
    )


def _parts(builder: Any, label_key: str, notes: list[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Which of the set's splits is train, val and test, and the labels of each."""
    import tensorflow_datasets as tfds

    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    parts: dict[str, str] = {}
    for split in splits:
        parts.setdefault(_PARTS.get(split, split), split)
    if "train" not in parts:
        largest = max(splits, key=lambda split: splits[split])
        notes.append(f"no train split: {largest!r} is split instead")
        parts = {"train": largest}
    ignored = sorted(set(splits) - {parts[p] for p in ("train", "val", "test") if p in parts})
    if ignored:
        notes.append(f"splits not used: {', '.join(ignored)}")
    parts = {part: parts[part] for part in ("train", "val", "test") if part in parts}
    labels = {}
    for part, split in list(parts.items()):
        read = builder.as_dataset(
            split=split, decoders=tfds.decode.PartialDecoding({label_key: True})
        )
        taken = [y.numpy() for y in read.map(lambda row: row[label_key]).batch(4096)]
        y = np.concatenate(taken).astype(np.int64) if taken else np.zeros(0, np.int64)
        if part != "train" and (len(y) == 0 or (y < 0).all()):
            notes.append(f"split {split!r} has no labels: not used")
            del parts[part]
        else:
            labels[part] = y
    return parts, labels


def _renumber(
    labels: dict[str, np.ndarray], class_names: list[str], name: str, notes: list[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Leave out classes that a published set names but has no training image of."""
    used = np.unique(labels["train"])
    for part, y in labels.items():
        strange = ~np.isin(y, used)
        if strange.any():
            raise DataError(
                f"{name}: {int(strange.sum())} images of its {part} part are of classes that no "
                "training image has; it is made for another task."
            )
    if len(used) < len(class_names):
        notes.append(f"{len(class_names) - len(used)} of {len(class_names)} classes have no image")
    numbers = {part: np.searchsorted(used, y) for part, y in labels.items()}
    return numbers, [class_names[number] for number in used]


def _sizes(images: Any, name: str) -> np.ndarray:
    """Heights and widths (n, 2) of the first encoded images, from their headers."""
    found = []
    for data in images.take(_LOOK).as_numpy_iterator():
        try:
            found.append(read_header(data)[:2])
        except BadImage as error:
            raise DataError(f"{name}: image {len(found)} can't be used ({error}).") from error
    return np.array(found)


def _encoded(builder: Any, image_key: str, split: str) -> Any:
    """The bytes of the image files of a prepared split, in the order they lie in."""
    import tensorflow_datasets as tfds

    with quietly():
        rows = builder.as_dataset(split=split, decoders={image_key: tfds.decode.SkipDecoding()})
    return rows.map(lambda row: row[image_key])


def _stream(builder: Any, image_key: str, split: str, labels: np.ndarray) -> Stream:
    def make() -> Any:
        import tensorflow as tf

        numbers = tf.data.Dataset.from_tensor_slices(labels)
        return tf.data.Dataset.zip((_encoded(builder, image_key, split), numbers))

    return Stream(make, len(labels))


def _fingerprint(builder: Any, labels: dict[str, np.ndarray]) -> str:
    """A hash over the set's name, version and labels; its images follow from these."""
    digest = hashlib.blake2b(builder.info.full_name.encode(), digest_size=16)
    for part, y in labels.items():
        digest.update(part.encode() + y.tobytes())
    return digest.hexdigest()


def load_tfds(source: Any, options: LoadOptions) -> SourceData:
    """See `kcnn.data.load`. A set that was never prepared is downloaded and built first."""
    name = os.fspath(source)
    _refuse_path(name)
    try:
        import tensorflow_datasets  # noqa: F401
    except ImportError as error:
        raise DataError(f"{name}: needs tensorflow-datasets ({error}); install it.") from error
    notes: list[str] = []
    with quietly():
        builder = find_builder(name, options.data_dir)
        image_key, label_key = _keys(builder, name)
        prepare(builder, name, options.manual_dir)
        parts, labels = _parts(builder, label_key, notes)
        names = list(builder.info.features[label_key].names)
        labels, class_names = _renumber(labels, names, name, notes)
        feature = builder.info.features[image_key]
        height, width, channels = feature.shape
        if feature.np_dtype not in (np.uint8, np.uint16):
            raise DataError(
                f"{name}: images of dtype {feature.np_dtype} and shape {feature.shape} are not "
                "read; save them as a .npz file of raw images 0..255."
            )
        if feature.np_dtype == np.uint16:
            notes.append("images of 16 bits: the upper 8 are used")
        sizes = np.array([[height, width]])
        if height is None or width is None:
            sizes = _sizes(_encoded(builder, image_key, parts["train"]), name)
            notes.append(f"sizes are those of the first {len(sizes)} images")
    flip = not _MIRROR_CHANGES.search(name)
    if not flip:
        notes.append("a mirrored image is taken to change its class: no horizontal flips")
    return SourceData(
        name=name,
        parts={
            part: Part(_stream(builder, image_key, split, labels[part]), labels[part])
            for part, split in parts.items()
        },
        class_names=class_names,
        sizes=sizes,
        channels=1 if channels == 1 else 3,
        flip=flip,
        notes=notes,
        fingerprint=_fingerprint(builder, labels),
    )


def _refuse_path(name: str) -> None:
    """DataError for what can't be the name of a set."""
    path = Path(name).expanduser()
    if path.is_file():
        raise DataError(
            f"{shown(name)}: a file of no known kind; give a .npz, .npy, .csv, .tsv or .parquet "
            "file, a folder or a data set's name."
        )
    if (
        path.suffix in _SUFFIXES
        or path.is_absolute()
        or name.startswith((".", "~"))
        or "\\" in name
    ):
        raise DataError(f"{shown(name)}: no such file or folder.")


def _matches(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)


register_source("tensorflow-datasets", matches=_matches, load=load_tfds)
