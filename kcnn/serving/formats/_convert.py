"""What the formats beside the SavedModel share: Keras's exporters, the check, the card's words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.serving._check import check
from kcnn.serving._servable import Servable

__all__ = ["convert"]


def convert(
    servable: Servable,
    file: Path,
    pictures: np.ndarray,
    *,
    keras_format: str,
    open_file: Callable[[Path], Callable[[np.ndarray], np.ndarray]],
    exact: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Write `file` by `model.export`, open it in its own runtime, check it; the card's entry.

    `open_file` gives a function of images to probabilities. Raises ValueError where the model
    can't be converted or the file answers otherwise than Keras.
    """
    images = keras.InputSpec(shape=(None, *servable.image_shape), dtype="float32", name="images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters about NumPy 2 and their own parts
            servable.frozen.export(
                str(file), format=keras_format, verbose=False, input_signature=[images], **options
            )
            answer = open_file(file)
    except Exception as error:  # converters raise nearly every kind
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"export: model {servable.model.name!r} cannot be written as {file.name}: {reason}"
        ) from error
    done = check(servable, pictures, answer, what=file.name, exact=exact)
    height, width, channels = ("any" if side is None else side for side in servable.image_shape)
    return {
        "file": file.name,
        "input": f"images float32 (n, {height}, {width}, {channels}), 0..255",
        "output": f"probabilities float32 (n, {len(servable.class_names)})",
        "in the file": "normalization and network",
        "left to the caller": "decoding and resizing, by the numbers under preprocessing",
        "check": done.to_dict(),
    }
