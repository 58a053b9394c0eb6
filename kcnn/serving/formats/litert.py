"""LiteRT (TensorFlow Lite): float32, weights in 8 bits, weights in 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._servable import Servable
from kcnn.serving.formats._convert import convert

__all__ = ["write", "write_dynamic", "write_float16"]


def write(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write model.tflite, all in float32."""
    return _write(servable, folder / "model.tflite", pictures)


def write_dynamic(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write model_dynamic.tflite: weights in 8 bits, activations quantized as they come."""
    import tensorflow as tf

    return _write(
        servable,
        folder / "model_dynamic.tflite",
        pictures,
        exact=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
    )


def write_float16(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write model_float16.tflite: weights in 16 bits, half the size."""
    import tensorflow as tf

    return _write(
        servable,
        folder / "model_float16.tflite",
        pictures,
        exact=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec={"supported_types": [tf.float16]},
    )


def _write(servable: Servable, file: Path, pictures: np.ndarray, **options: Any) -> dict[str, Any]:
    return convert(servable, file, pictures, keras_format="litert", open_file=_open, **options)


def _open(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    return lambda images: runner(images=images)["probabilities"]
