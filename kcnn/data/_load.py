"""One door to every source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kcnn.data._digits import load_digits
from kcnn.data._npz import load_npz
from kcnn.data._record import DataError, Dataset

__all__ = ["load"]


def load(
    source: str | os.PathLike[str],
    *,
    image_size: int | tuple[int, int] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    manual_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    max_images: int | None = None,
    flip: bool | None = None,
) -> Dataset:
    """Load, check and split an image classification set.

    `source` is "digits" (embedded, offline), a path to a .npz file (arrays x, y and perhaps x_test,
    y_test, class_names), a path to a folder (one sub-folder per class, or train/, val/ and test/
    folders of such), or the name of an image classification set of tensorflow-datasets.

    image_size: pixels, or (height, width): images are resized to it.
    val_fraction: share of the training images that is held out to choose by.
    seed: of the splits; the same seed gives the same splits.
    manual_dir: folder with a tensorflow-datasets set's original files, to build it offline.
    data_dir: where tensorflow-datasets keeps prepared sets (its own default otherwise).
    max_images: use at most about this many over all splits, each class in its share.
    flip: whether a mirrored image keeps its class; None takes what is known or guessed.

    Raises DataError (one or two lines) for what can't be found, read or trained on.
    """
    if max_images is not None and (int(max_images) != max_images or max_images < 1):
        raise DataError(f"max_images={max_images} is not a number of images.")
    common: dict[str, Any] = {
        "image_size": image_size,
        "val_fraction": val_fraction,
        "seed": seed,
        "max_images": max_images,
        "flip": flip,
    }
    text = os.fspath(source)
    path = Path(text).expanduser()
    if text == "digits":
        return load_digits(**common)
    if path.is_file() and path.suffix == ".npz":
        return load_npz(path, **common)
    if path.is_dir():
        from kcnn.data._folder import load_folder

        return load_folder(path, **common)
    if path.is_file():
        raise DataError(
            f"{text}: is a file, but no .npz; give a .npz, a folder or a data set's name."
        )
    if path.suffix == ".npz" or path.is_absolute() or text.startswith((".", "~")) or "\\" in text:
        raise DataError(f"{text}: no such file or folder.")
    from kcnn.data._tfds import load_tfds

    return load_tfds(text, manual_dir=manual_dir, data_dir=data_dir, **common)
