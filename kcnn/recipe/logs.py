"""Curves for other tools: CSV files always, TensorBoard's where it is installed."""

import csv
import importlib.util
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from kcnn.recipe.files import replace

__all__ = ["TENSORBOARD", "EpochLog", "write_rows"]

TENSORBOARD = "tensorboard"


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A CSV file with a column for each name in the rows, in one move."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(listed)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace(file, lambda opened: opened.write(text.getvalue().encode()))


class EpochLog(keras.callbacks.Callback):
    """Writes `NAME.csv` anew after each epoch, and the epoch to `tensorboard/NAME`.

    Args:
        folder: of the run's logs; nothing is written where it is None.
        name: of the training.
        history: all its epochs so far, those of earlier sittings included; each value by name.
    """

    def __init__(self, folder: Path | None, name: str, history: Mapping[str, list[float]]):
        super().__init__()
        self.folder, self.name, self.history = folder, name, history
        self._writer: Any = None

    def on_epoch_end(self, epoch, logs=None):
        if self.folder is None:
            return
        epochs = range(len(next(iter(self.history.values()), [])))
        rows = ({"epoch": i + 1, **{k: v[i] for k, v in self.history.items()}} for i in epochs)
        write_rows(self.folder / f"{self.name}.csv", rows)
        if importlib.util.find_spec(TENSORBOARD) is not None:
            self._tensorboard(epoch + 1, logs or {})

    def _tensorboard(self, epoch: int, logs: Mapping[str, float]) -> None:
        import tensorflow as tf

        if self._writer is None:
            folder = (self.folder or Path()) / TENSORBOARD / self.name
            self._writer = tf.summary.create_file_writer(str(folder))
        with self._writer.as_default():
            for name, value in logs.items():
                tf.summary.scalar(name, value, step=epoch)
            self._writer.flush()
