"""What makes a run this run: model, data, settings and version. A resumed run has the same."""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras

from kcnn._version import __version__
from kcnn.callbacks.keras_internals import layers_of
from kcnn.data import Dataset
from kcnn.recipe.settings import FREE_ON_RESUME, RecipeError, Settings
from kcnn.recipe.space import Space

__all__ = ["changes", "check_same", "identity_of"]


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
            "flip": dataset.flip,
        },
        "settings": settings.to_dict(),
        "space": space.to_dict(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, from what to what; none: it is the same run."""
    changed = []
    for part in sorted({*before, *now}):
        a, b = before.get(part), now.get(part)
        if isinstance(a, dict) and isinstance(b, dict):
            keys = [k for k in {**a, **b} if a.get(k) != b.get(k) and k not in FREE_ON_RESUME]
            changed += [f"{part} {k} was {_short(a.get(k))}, is {_short(b.get(k))}" for k in keys]
        elif a != b:
            changed.append(f"{part} was {_short(a)}, is {_short(b)}")
    return changed


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], what: str) -> None:
    """Refuse to go on with something else.

    Raises:
        RecipeError: naming what changed.
    """
    changed = changes(before, now)
    if changed:
        raise RecipeError(
            f"{what} is another one: {'; '.join(changed)}. Give what it had, or another --out."
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _code(build: Any) -> str:
    """A hash of the file that the builder stands in; "" where there is none."""
    try:
        text = inspect.getsource(inspect.getmodule(build) or build)
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _layers(model: keras.Model) -> str:
    """A hash of kinds and shapes, without the numbers that Keras gives layers in passing."""
    parts = [type(layer).__name__ for layer in layers_of(model)]
    parts += [str(tuple(weight.shape)) for weight in model.weights]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
