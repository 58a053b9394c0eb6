"""A trained model on its way out: one folder that holds all that answering needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.preprocessing import Preprocessing
from kcnn.serving._card import make_card, write_assets, write_card
from kcnn.serving._check import check_pictures
from kcnn.serving._folder import check_version, folder_aside, place
from kcnn.serving._servable import make_servable
from kcnn.serving.formats import find_formats

__all__ = ["export"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # stands in addresses: v1/models/NAME


def export(
    model: keras.Model,
    path: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    version: int | None = None,
    formats: Sequence[str] = ("saved_model",),
    from_logits: bool | None = None,
    multi_label: bool | None = None,
    overwrite: bool = False,
    images: np.ndarray | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write `model` to the folder `path`/<version>, the layout of TensorFlow Serving.

    The SavedModel runs without kcnn and needs no XLA. Its signatures:
      serving_default  `images` float32 (n, h, w, c), 0..255, of any size
      serving_uint8    the same as uint8, a quarter of the bytes
      serving_bytes    `image_bytes` string (n,): JPEG, PNG, GIF, BMP or WebP files, each decoded,
                       turned as its EXIF says, resized and normalized in the graph
    Images that have the model's size already are not resized. Each signature answers
      probabilities      float32 (n, classes), also under mixed precision
      class              int64 (n,), the most probable class
      label              string (n,), its name
      top_probabilities  float32 (n, k), k = min(5, classes), falling
      top_labels         string (n, k)
    Assets: class_names.txt (one a line), card.json and card.md (the model card).

    Every file is checked against Keras's answers on real pictures before it is kept.

    Args:
      model: a built Keras model with one image input and one output of shape (n, classes):
        logits or probabilities, one class per image or several. A single sigmoid unit (or its
        logit) serves as two classes, the second one positive.
      path: the model's folder; its last part is the name that servers know it by.
      class_names: one per class, in the order of the outputs; numbers where there are none.
      preprocessing: how pictures become the model's input. None reads it off the model
        (`Preprocessing.of`); a model without one takes raw pixels of its input's size. Where the
        model holds no preprocessing layer, the given normalization is put in front of it.
      version: a whole number from 1 on; None takes the next free one.
      formats: any of `kcnn.serving.FORMATS`; all but "saved_model" need `pip install kcnn[export]`.
      from_logits: whether a softmax (sigmoid) is still to be put behind the output; None
        reads it off the model's last activation.
      multi_label: whether every class has a probability of its own; None reads it off too.
      overwrite: replace that version.
      images: pictures (n, h, w, c), 0..255, to check with; None takes windows of a photograph.
      facts: for the card: "data", "metrics" (with "per_class"), "command", "limits".

    Returns the version's folder. It appears whole or not at all.

    Raises:
      ValueError: a model that is not built or not of that form, names or a preprocessing that
        do not fit, an unknown format or one whose packages are missing.
      FileExistsError: the version exists (and is no export, or `overwrite` is false).
      OSError: the folder cannot be written; nothing is left behind.

    >>> export(model, "served/digits", version=1).name
    '1'
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"export needs Keras's TensorFlow backend; it runs on {keras.backend.backend()!r}. "
            "Save the model as .keras, set KERAS_BACKEND=tensorflow and load it there."
        )
    import tensorflow as tf

    path = _checked_path(path)
    writers = find_formats(formats)
    check_version(path, version, overwrite=overwrite)
    servable = make_servable(
        model,
        class_names=class_names,
        preprocessing=preprocessing,
        from_logits=from_logits,
        multi_label=multi_label,
    )
    pictures = check_pictures(servable, images)
    card = make_card(servable, name=path.name, facts=facts or {}, named=class_names is not None)
    try:
        with folder_aside(path) as folder:
            write_assets(folder / "assets", card)
            for entry in writers:
                card["formats"][entry.name] = entry.write(servable, folder, pictures)
            write_card(folder / "assets", card)
            return place(folder, path, version, overwrite=overwrite)
    except tf.errors.OpError as error:
        free = shutil.disk_usage(next(p for p in path.parents if p.exists())).free / 2**20
        raise OSError(
            f"export: {path} could not be written ({error.message}); {free:.0f} MiB are free "
            "there. Nothing was left behind."
        ) from error


def _checked_path(path: str | Path) -> Path:
    path = Path(path)
    if not _NAME.fullmatch(path.name):
        raise ValueError(
            f"export: {path.name!r} is no model name; use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit (it stands in web addresses)."
        )
    return path
