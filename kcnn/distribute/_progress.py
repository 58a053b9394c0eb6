"""Signs of life of a worker, for `kcnn launch`."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import keras

__all__ = ["signs_of_life"]

FILE = "KCNN_PROGRESS"  # named by `kcnn launch`
PULSE = 1.0  # seconds between two touches of the file, by a thread of its own


def signs_of_life() -> list[keras.callbacks.Callback]:
    """The callback that `kcnn launch` asks for, if this process was started by it."""
    return [Progress(Path(os.environ[FILE]))] if os.environ.get(FILE) else []


class Progress(keras.callbacks.Callback):
    """Writes how many steps were begun and ended; a stopped process lets the file grow old.

    Whoever waits for the others has begun a step more than the one that is missing.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.begun = self.ended = 0
        self.done = threading.Event()

    def on_train_begin(self, logs: Any = None) -> None:
        self._write()
        threading.Thread(target=self._pulse, daemon=True).start()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begun += 1
        self._write()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ended += 1
        self._write()

    def on_train_end(self, logs: Any = None) -> None:
        self.done.set()

    def _write(self) -> None:
        self.file.write_text(f"{self.begun} {self.ended}")

    def _pulse(self) -> None:
        while not self.done.wait(PULSE):
            os.utime(self.file)
