"""LiteRT (TensorFlow Lite), checked in its interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["open_file"]


def open_file(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Images to probabilities."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    return lambda images: runner(images=images)["probabilities"]
