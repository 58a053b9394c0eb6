"""ONNX, checked in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["open_file"]


def open_file(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Images to probabilities."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    if names != ["images"]:
        raise ValueError(f"it has the inputs {names}; only 'images' was expected")
    return lambda images: session.run(["probabilities"], {"images": images})[0]
