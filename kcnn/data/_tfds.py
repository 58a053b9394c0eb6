"""Any image classification set of tensorflow-datasets, by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._checks import check_classes
from kcnn.data._memory import require_memory
from kcnn.data._plan import Plan, make_plan
from kcnn.data._record import DataError, Dataset, Split
from kcnn.data._resize import as_size, common_size
from kcnn.data._source import LoadOptions, register_source
from kcnn.data._tfds_build import find_builder, prepare, quietly

__all__ = ["load_tfds"]

_PARTS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}
_MIRROR_CHANGES = re.compile(  # sets of characters and of signs that point somewhere
    r"(?<!fashion_)mnist|svhn|omniglot|digit|letter|cmaterdb|gtsrb|dmlab|smallnorb"
)
_READ = 256  # images taken over at a time
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


def _read(
    builder: Any,
    keys: tuple[str, str],
    parts: dict[str, str],
    plan: Plan,
    size: tuple[int, int] | None,
    name: str,
    notes: list[str],
) -> dict[str, np.ndarray]:
    """The images of each split (n, h, w, c), uint8, in the order of the plan."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    image_key = keys[0]
    feature = builder.info.features[image_key]
    height, width, channels = feature.shape
    if feature.np_dtype not in (np.uint8, np.uint16) or channels is None:
        raise DataError(
            f"{name}: images of dtype {feature.np_dtype} and shape {feature.shape} are not read; "
            "save them as a .npz file of raw images 0..255."
        )
    if feature.np_dtype == np.uint16:
        notes.append("images of 16 bits scaled to 8")

    def source(split: str, indices: np.ndarray) -> Any:
        rows = builder.as_dataset(split=split, decoders={image_key: tfds.decode.SkipDecoding()})
        mask = np.zeros(builder.info.splits[split].num_examples, bool)
        mask[indices] = True
        if not mask.all():
            keep = tf.constant(mask)
            rows = rows.enumerate().filter(lambda i, _: keep[i]).map(lambda _, row: row)
        return rows.map(lambda row: feature.decode_example(row[image_key]), num_parallel_calls=2)

    if size is None and (height is None or width is None):
        shapes = source(parts["train"], plan["train"][1]).take(_LOOK).map(lambda x: tf.shape(x)[:2])
        size = common_size(np.array([shape.numpy() for shape in shapes]))
        how = f"the median of {_LOOK} images, at most 224; the aspect ratio is not kept"
        notes.append(f"images of different size resized to {size[0]}x{size[1]} ({how})")
    elif size is not None and size != (height, width):
        notes.append(f"images resized to {size[0]}x{size[1]}")
    shape = (*(size or (height, width)), channels)
    require_memory(sum(len(index) for _, index in plan.values()), shape, name=name)

    def to_shape(x: Any) -> Any:
        if x.dtype != tf.uint8:
            x = tf.cast(x, tf.float32) / 257.0
        if size is not None and size != (height, width):
            x = tf.image.resize(x, size, antialias=True)
        if x.dtype != tf.uint8:
            x = tf.cast(tf.round(tf.clip_by_value(x, 0.0, 255.0)), tf.uint8)
        return tf.ensure_shape(x, shape)

    out = {part: np.empty((len(index), *shape), np.uint8) for part, (_, index) in plan.items()}
    for part in dict.fromkeys(was for was, _ in plan.values()):
        wanted = [(split, index) for split, (was, index) in plan.items() if was == part]
        every = np.concatenate([index for _, index in wanted])
        place = np.argsort(every)  # the k-th image read belongs at place[k] of the concatenation
        starts = np.cumsum([0] + [len(index) for _, index in wanted])
        done = 0
        for batch in source(parts[part], every).map(to_shape, num_parallel_calls=2).batch(_READ):
            at = place[done : done + len(batch)]
            for (split, _), low, high in zip(wanted, starts, starts[1:], strict=False):
                here = (at >= low) & (at < high)
                out[split][at[here] - low] = batch.numpy()[here]
            done += len(batch)
        if done != len(every):
            raise DataError(f"{name}: {done} images were read where {len(every)} are promised.")
    return out


def load_tfds(source: Any, options: LoadOptions) -> Dataset:
    """See `kcnn.data.load`. A set that was never prepared is downloaded and built first."""
    name, flip = os.fspath(source), options.flip
    path = Path(name).expanduser()
    if path.is_file():
        raise DataError(
            f"{name}: is a file, but no .npz; give a .npz, a folder or a data set's name."
        )
    if path.suffix == ".npz" or path.is_absolute() or name.startswith((".", "~")) or "\\" in name:
        raise DataError(f"{name}: no such file or folder.")
    try:
        import tensorflow_datasets  # noqa: F401
    except ImportError as error:
        raise DataError(f"{name}: needs tensorflow-datasets ({error}); install it.") from error
    with quietly():
        builder = find_builder(name, options.data_dir)
        keys = _keys(builder, name)
        prepare(builder, name, options.manual_dir)
        notes: list[str] = []
        parts, labels = _parts(builder, keys[1], notes)
        labels, class_names = _renumber(
            labels, list(builder.info.features[keys[1]].names), name, notes
        )
        check_classes(labels["train"], class_names, who=name)
        plan, said = make_plan(
            labels,
            name=name,
            val_fraction=options.val_fraction,
            test_fraction=options.test_fraction,
            seed=options.seed,
            max_images=options.max_images,
        )
        notes.extend(said)
        images = _read(
            builder, keys, parts, plan, as_size(options.image_size, who=name), name, notes
        )
    if flip is None:
        flip = not _MIRROR_CHANGES.search(name)
        if not flip:
            notes.append("a mirrored image is taken to change its class: no horizontal flips")
    splits = {part: Split(images[part], labels[was][index]) for part, (was, index) in plan.items()}
    return Dataset(
        name=name,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        class_names=tuple(class_names),
        flip=flip,
        notes=tuple(notes),
    )


register_source(
    "tensorflow-datasets",
    matches=lambda given: isinstance(given, str | os.PathLike),
    load=load_tfds,
)
