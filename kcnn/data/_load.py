"""One door to every source."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kcnn.data._assemble import assemble
from kcnn.data._record import DataError, Dataset
from kcnn.data._source import LoadOptions, SourceData, source_of

if TYPE_CHECKING:
    from kcnn.preprocessing import Preprocessing

__all__ = ["load"]

# The kinds of sources that come with kcnn; the last is asked first.
for _kind in ("_tfds", "_folder", "_table", "_npz", "_arrays", "_stream", "_digits"):
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
    group: str | None = None,
    skip_bad: bool = False,
    max_images: int | None = None,
    flip: bool | None = None,
    cache: str | None = "auto",
    class_names: Sequence[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    split_column: str | None = None,
    label_separator: str | None = None,
) -> Dataset:
    """Look at an image classification set, check it and split it; no more is decoded than needed.

    `source` is one of
    - "digits": embedded, offline;
    - a path to a .npz file (arrays x, y and perhaps x_test, y_test, class_names), or to a folder
      with x.npy and y.npy: large ones that are not compressed are mapped, not read;
    - a path to a folder: one sub-folder per class, or train/, val/ and test/ folders of such;
    - a path to a table, .csv, .tsv or .parquet, with a column of paths and one of labels;
    - a pair of arrays (x, y), a `tf.data.Dataset` or a `keras.utils.PyDataset` of (images, labels);
    - the name of an image classification set of tensorflow-datasets;
    - whatever `register_source` was told about.

    preprocessing: how pictures become images of one size; made from the data where None.
    image_size: pixels, or (height, width): images are resized to it.
    resize: "stretch" (default), "crop" or "pad".
    val_fraction: share of the training images that is held out to choose by.
    test_fraction: share held out to report on, where the source has no test part.
    seed: of the splits; the same seed and the same files give the same splits.
    group: what keeps images together that must not be torn apart (one patient, one camera): a
        table's column, or for a folder a regular expression on the path with one group.
    skip_bad: leave out files that can't be used, and count them, instead of raising.
    max_images: use at most about this many over all splits, each class in its share.
    flip: whether a mirrored image keeps its class; None takes what is known or guessed.
    cache: where decoded images of later epochs are kept: "memory", "disk", None, or "auto".
    class_names: the classes in the order of their numbers; for arrays, streams and tables.
    manual_dir: folder with a tensorflow-datasets set's original files, to build it offline.
    data_dir: where tensorflow-datasets keeps prepared sets (its own default otherwise).
    root: folder that a table's paths are relative to (the table's own otherwise).
    path_column, label_column, split_column: a table's columns, where not called as usual; several
        label columns hold 0 or 1 each: then an image may have several labels.
    label_separator: what stands between the labels of one image, for instance "|".

    Raises DataError (one or two lines) for what can't be found, read or trained on.

    >>> data = load("digits")
    >>> data.image_shape, data.classes, len(data.train)
    ((8, 8, 1), 10, 1294)
    """
    options = LoadOptions(**{name: value for name, value in locals().items() if name != "source"})
    if max_images is not None and (int(max_images) != max_images or max_images < 1):
        raise DataError(f"max_images={max_images} is not a number of images.")
    found = source_of(source).load(source, options)
    return assemble(found, options) if isinstance(found, SourceData) else found
