"""The formats a model can be exported to: one file each, found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._servable import Servable
from kcnn.serving.formats._convert import convert

__all__ = ["FORMATS", "Format", "find_formats"]

_LITERT = ("ai_edge_litert",)


@dataclass(frozen=True)
class Format:
    """One way to write a model.

    kind: Keras's name of it and the module here that opens what was written (`open_file`), or
        writes it (`write`) where Keras has no exporter of its own for that.
    bits: of the weights; a file of fewer than 32 need not answer as exactly.
    """

    name: str
    kind: str
    file: str = "."
    needs: tuple[str, ...] = ()
    bits: int = 32
    note: str = ""

    def write(self, servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
        """Write files into the folder; what the card says about them."""
        module = import_module(f"kcnn.serving.formats.{self.kind}")
        if hasattr(module, "write"):
            return module.write(servable, folder, pictures)
        said = convert(
            servable, folder / self.file, pictures, self.kind, module.open_file, self.bits
        )
        return {**said, "note": self.note} if self.note else said


FORMATS = {
    entry.name: entry
    for entry in (
        Format("saved_model", "saved_model"),
        Format("onnx", "onnx", "model.onnx", ("onnx", "onnxruntime", "tf2onnx")),
        Format("litert", "litert", "model.tflite", _LITERT),
        Format("litert_dynamic", "litert", "model_dynamic.tflite", _LITERT, bits=8),
        Format("litert_float16", "litert", "model_float16.tflite", _LITERT, bits=16),
        Format(
            "openvino",
            "openvino",
            "model.xml",
            ("openvino",),
            note="checked with INFERENCE_PRECISION_HINT=f32; its default may be bf16",
        ),
    )
}


def find_formats(names: Sequence[str]) -> list[Format]:
    """The formats called so; ValueError for an unknown name or a missing extra."""
    if isinstance(names, str):
        names = (names,)
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ValueError(
            f"export: formats={list(names)}; expected one or more of {', '.join(FORMATS)}."
        )
    found = [FORMATS[name] for name in dict.fromkeys(names)]
    for entry in found:
        missing = [package for package in entry.needs if find_spec(package) is None]
        if missing:
            raise ValueError(
                f"export: the format {entry.name} needs {', '.join(missing)}; run "
                "`pip install kcnn[export]`."
            )
    return found
