"""What `kcnn export` takes: a run's folder or a `.keras` file, read without running anything."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

__all__ = ["Source", "load_keras_file", "read_source"]


@dataclass(frozen=True, eq=False)
class Source:
    """A model with what its run recorded: names, facts for the card, pictures to check with.

    >>> Source("digits", model).class_names is None
    True
    """

    name: str
    model: keras.Model
    class_names: list[str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    images: np.ndarray | None = None


def read_source(path: str | Path) -> Source:
    """Read a run's folder (result.json and model.keras) or a `.keras` file.

    Raises FileNotFoundError where nothing is there, ValueError for what is neither.

    >>> model.save("digits.keras")
    >>> read_source("digits.keras").name
    'digits'
    """
    path = Path(path)
    if path.is_dir():
        return _read_run(path)
    if not path.exists():
        raise FileNotFoundError(2, "No such run folder or .keras file", str(path))
    return Source(path.stem, load_keras_file(path))


def load_keras_file(path: str | Path) -> keras.Model:
    """The model of a `.keras` file, in Keras's safe mode only: nothing in the file is executed.

    It comes with the file's loss where that is one of Keras's own, since the loss tells what
    the output means; not with its optimizer.

    Raises ValueError for another kind of file, a damaged one, or one that holds code.

    >>> model.save("model.keras")
    >>> load_keras_file("model.keras").output_shape
    (None, 10)
    """
    path = Path(path)
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no .keras file; save the model with model.save('NAME.keras') (HDF5 and "
            "pickled models are not read, since they can carry code)."
        )
    try:
        with _safe_mode():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises nearly every kind for a file it can't read
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"{path} cannot be loaded in safe mode: {reason} Only layers of Keras and kcnn are "
            "read; give export() a model built in Python for anything else."
        ) from error
    loss = _stored_loss(path)
    if loss is not None:
        model.compile(loss=loss)
    return model


def _safe_mode() -> Any:
    """Keras's safe mode even after `keras.config.enable_unsafe_deserialization()`.

    That switch wins over load_model's own argument; the scope, which is private, wins over both.
    """
    from keras.src.saving import serialization_lib

    return serialization_lib.SafeModeScope(True)


def _stored_loss(path: Path) -> Any:
    """The loss in the file's config if it is one of Keras's, by name, else None."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    stored = (config.get("compile_config") or {}).get("loss")
    if isinstance(stored, str):
        return stored
    if not isinstance(stored, Mapping) or stored.get("module") != "keras.losses":
        return None
    kind = getattr(keras.losses, str(stored.get("class_name")), None)
    inner = stored.get("config")
    if not isinstance(kind, type) or not isinstance(inner, Mapping):
        return None
    from_logits = inner.get("from_logits")
    return kind(from_logits=from_logits) if isinstance(from_logits, bool) else None


def _read_run(folder: Path) -> Source:
    record_path = folder / "result.json"
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        data = dict(record["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} is no finished run (result.json: {error}); give a run's folder or a .keras "
            "file."
        ) from error
    model_path = folder / "model.keras"
    if not model_path.is_file():
        raise ValueError(f"{folder} holds no model.keras; finish the run with --resume first.")
    names = data.pop("class_names", None)
    facts = {"data": data, "metrics": _metrics(record.get("test"), names)}
    return Source(
        folder.resolve().name, load_keras_file(model_path), names, facts, _samples(folder)
    )


def _metrics(test: Any, names: list[str] | None) -> dict[str, Any] | None:
    """Scores on the test images; per class from the confusion matrix (rows: true class)."""
    if not isinstance(test, Mapping):
        return None
    found: dict[str, Any] = {key: value for key, value in test.items() if np.isscalar(value)}
    confusion = np.asarray(test.get("confusion", []), "float64")
    if names is None or confusion.shape != (len(names), len(names)):
        return found
    right, true, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    found["per_class"] = {
        name: {
            "images": int(true[i]),
            "recall": round(float(right[i] / true[i]), 4) if true[i] else None,
            "precision": round(float(right[i] / said[i]), 4) if said[i] else None,
        }
        for i, name in enumerate(names)
    }
    return found


def _samples(folder: Path) -> np.ndarray | None:
    """The training pictures that the report shows, before augmentation."""
    path = folder / "samples.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        return archive.get("before")
