"""What a longer training leaves on disk after each epoch, so that it can be resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.recipe.folder import write_json
from kcnn.recipe.training import BestWeights

__all__ = ["Checkpoint"]


class Checkpoint(keras.callbacks.Callback):
    """Writes weights, optimizer state, best weights and history at the end of each epoch.

    Files are replaced in one move, so a killed process or a full disk leaves the last whole
    epoch. Place it after the callbacks that add to the epoch's logs.
    """

    def __init__(self, state: Path, index: int, keeper: BestWeights):
        super().__init__()
        self.files = _Files(state, index)
        self.keeper = keeper
        self.history: dict[str, list[float]] = {}

    def restore(self, model: keras.Model) -> int:
        """Put the last whole epoch back into the model; the number of epochs already done."""
        if not self.files.epoch.exists():
            return 0
        stored = _read(self.files.epoch)
        progress = json.loads(str(stored["progress"]))
        for variable, value in zip(_variables(model), _numbered(stored, "v"), strict=True):
            variable.assign(value)
        self.history = progress["history"]
        self.keeper.history = {k: list(self.history[k]) for k in ("loss", "val_loss")}
        self.keeper.epoch, self.keeper.logs = progress["best_epoch"], progress["best_logs"]
        if self.keeper.epoch is not None:
            self.keeper.weights = self.load_best(self.files.state, self.files.index)
        return progress["epochs"]

    def on_epoch_end(self, epoch, logs=None):
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(float(value))
        if self.keeper.weights is not None and self.keeper.epoch == epoch + 1:
            _write(self.files.best, {f"w{i}": w for i, w in enumerate(self.keeper.weights)})
        progress = {
            "epochs": epoch + 1,
            "history": self.history,
            "best_epoch": self.keeper.epoch,
            "best_logs": self.keeper.logs,
        }
        arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(_variables(self.model))}
        _write(self.files.epoch, {**arrays, "progress": np.array(json.dumps(progress))})

    def done(self, row: dict[str, Any]) -> None:
        """Mark this training as finished with its row of the result."""
        write_json(self.files.row, row)
        self.files.epoch.unlink(missing_ok=True)

    @staticmethod
    def load_done(state: Path, index: int) -> dict[str, Any] | None:
        """The row of a training that had finished, or None."""
        path = _Files(state, index).row
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @staticmethod
    def load_best(state: Path, index: int) -> list[np.ndarray]:
        """The best weights of training `index`, in the order of `model.get_weights()`."""
        return _numbered(_read(_Files(state, index).best), "w")


class _Files:
    def __init__(self, state: Path, index: int):
        self.state, self.index = state, index
        self.epoch = state / f"refine-{index}-epoch.npz"
        self.best = state / f"refine-{index}-best.npz"
        self.row = state / f"refine-{index}.json"


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _numbered(stored: dict[str, np.ndarray], letter: str) -> list[np.ndarray]:
    count = sum(key[0] == letter and key[1:].isdigit() for key in stored)
    return [stored[f"{letter}{i}"] for i in range(count)]


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(partial, path)
