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
    kind: str,
    open_file: Callable[[Path], Callable[[np.ndarray], np.ndarray]],
    bits: int,
) -> dict[str, Any]:
    """Write `file` by `model.export`, open it in its own runtime, check it; the card's entry.

    `open_file` gives a function of images to probabilities. Raises ValueError where the model
    can't be converted or the file answers otherwise than Keras.
    """
    options = _quantization(bits)
    images = keras.InputSpec(shape=(None, *servable.image_shape), dtype="float32", name="images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters about NumPy 2 and their own parts
            servable.frozen.export(
                str(file), format=kind, verbose=False, input_signature=[images], **options
            )
            answer = open_file(file)
    except Exception as error:  # converters raise nearly every kind
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"export: model {servable.model.name!r} cannot be written as {file.name}: {reason}"
        ) from error
    done = check(servable, pictures, answer, what=file.name, exact=bits == 32)
    height, width, channels = ("any" if side is None else side for side in servable.image_shape)
    return {
        "file": file.name,
        "input": f"images float32 (n, {height}, {width}, {channels}), 0..255",
        "output": f"probabilities float32 (n, {len(servable.class_names)})",
        "in the file": "normalization and network",
        "left to the caller": "decoding and resizing, by the numbers under preprocessing",
        "check": done,
    }


def _quantization(bits: int) -> dict[str, Any]:
    """LiteRT's options for weights of so many bits; with 8, activations become such too."""
    import tensorflow as tf

    if bits == 32:
        return {}
    types = {"target_spec": {"supported_types": [tf.float16]}} if bits == 16 else {}
    return {"optimizations": [tf.lite.Optimize.DEFAULT], **types}
