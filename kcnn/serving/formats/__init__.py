"""The formats a model can be exported to: one file each, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.serving._servable import Servable

__all__ = ["FORMATS", "Format", "find_formats"]

# Writes files into the folder and returns what the card says about them.
Write = Callable[[Servable, Path, np.ndarray], dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """One way to write a model: the module and function that do it, the packages it needs."""

    name: str
    module: str
    function: str = "write"
    needs: tuple[str, ...] = ()

    def write(self, servable: Servable, folder: Path, pictures: np.ndarray) -> dict[str, Any]:
        module = import_module(f"kcnn.serving.formats.{self.module}")
        writer: Write = getattr(module, self.function)
        return writer(servable, folder, pictures)


_LITERT = ("ai_edge_litert",)

FORMATS = {
    entry.name: entry
    for entry in (
        Format("saved_model", "saved_model"),
        Format("onnx", "onnx", needs=("onnx", "onnxruntime", "tf2onnx")),
        Format("litert", "litert", needs=_LITERT),
        Format("litert_dynamic", "litert", "write_dynamic", needs=_LITERT),
        Format("litert_float16", "litert", "write_float16", needs=_LITERT),
        Format("openvino", "openvino", needs=("openvino",)),
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
