"""What makes a run this run: model, data, settings and version. A resumed run has the same."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import keras

from kcnn._version import __version__
from kcnn.data import Dataset
from kcnn.recipe.settings import Settings
from kcnn.recipe.space import Space

__all__ = ["identity_of"]


def identity_of(
    build: Any,
    model: keras.Model,
    dataset: Dataset,
    settings: Settings,
    space: Space,
    source: str,
) -> dict[str, Any]:
    """JSON types; `model` is what `build` gives before the search."""
    return {
        "kcnn": __version__,
        "model": {"source": source, "code": _code(build), "layers": _layers(model)},
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "images": [len(dataset.train), len(dataset.val), len(dataset.test)],
            "shape": list(dataset.image_shape),
        },
        "settings": settings.to_dict(),
        "space": space.to_dict(),
    }


def _code(build: Any) -> str:
    """A hash of the file that the builder stands in; "" where there is none."""
    try:
        text = inspect.getsource(inspect.getmodule(build) or build)
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _layers(model: keras.Model) -> str:
    """A hash of kinds and shapes, without the numbers that Keras gives layers in passing."""
    parts = [type(layer).__name__ for layer in model._flatten_layers()]
    parts += [str(tuple(weight.shape)) for weight in model.weights]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
