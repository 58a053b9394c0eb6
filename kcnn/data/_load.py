"""One door to every source."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from kcnn.data._assemble import assemble
from kcnn.data._record import DataError, Dataset
from kcnn.data._source import LoadOptions, SourceData, source_of

if TYPE_CHECKING:
    from kcnn.preprocessing import Preprocessing

__all__ = ["load"]

# The kinds of sources that come with kcnn; the last is asked first.
for _kind in ("_tfds", "_folder", "_npz", "_arrays", "_digits"):
    importlib.import_module(f"kcnn.data.{_kind}")


def load(
    source: Any,
    *,
    preprocessing: Preprocessing | None = None,
    image_size: int | tuple[int, int] | None = None,
    resize: str | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    max_images: int | None = None,
    flip: bool | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Look at an image classification set, check it and split it.

    `source` is "digits" (embedded, offline), a path to a .npz file (arrays x, y and perhaps x_test,
    y_test, class_names), a path to a folder (one sub-folder per class, or train/, val/ and test/
    folders of such), a pair of arrays (x, y), or the name of an image classification set of
    tensorflow-datasets; `register_source` adds others.

    preprocessing: how pictures become images of one size; made from the data where None.
    image_size: pixels, or (height, width): images are resized to it.
    resize: "stretch" (default), "crop" or "pad".
    val_fraction: share of the training images that is held out to choose by.
    test_fraction: share held out to report on, where the source has no test part.
    seed: of the splits; the same seed gives the same splits.
    max_images: use at most about this many over all splits, each class in its share.
    flip: whether a mirrored image keeps its class; None takes what is known or guessed.
    manual_dir: folder with a tensorflow-datasets set's original files, to build it offline.
    data_dir: where tensorflow-datasets keeps prepared sets (its own default otherwise).

    Raises DataError (one or two lines) for what can't be found, read or trained on.
    """
    if max_images is not None and (int(max_images) != max_images or max_images < 1):
        raise DataError(f"max_images={max_images} is not a number of images.")
    options = LoadOptions(
        preprocessing=preprocessing,
        image_size=image_size,
        resize=resize,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        seed=seed,
        max_images=max_images,
        flip=flip,
        manual_dir=manual_dir,
        data_dir=data_dir,
    )
    found = source_of(source).load(source, options)
    return assemble(found, options) if isinstance(found, SourceData) else found
