"""ONNX, checked in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._servable import Servable
from kcnn.serving.formats._convert import convert

__all__ = ["write"]


def write(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write model.onnx."""
    return convert(servable, folder / "model.onnx", pictures, keras_format="onnx", open_file=_open)


def _open(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    if names != ["images"]:
        raise ValueError(f"it has the inputs {names}; only 'images' was expected")
    return lambda images: session.run(["probabilities"], {"images": images})[0]
