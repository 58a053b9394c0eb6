"""OpenVINO's intermediate representation, checked in its runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._servable import Servable
from kcnn.serving.formats._convert import convert

__all__ = ["write"]


def write(servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
    """Write model.xml and model.bin."""
    entry = convert(
        servable, folder / "model.xml", pictures, keras_format="openvino", open_file=_open
    )
    return {**entry, "note": "checked with INFERENCE_PRECISION_HINT=f32; its default may be bf16"}


def _open(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    # The default computes in bfloat16 where the processor can, which differs by about 0.02.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(file), "CPU", exact)
    return lambda images: compiled(images)["probabilities"]
