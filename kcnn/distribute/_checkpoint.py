"""What a training leaves to go on from, when a worker has died."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.distribute._cluster import DistributeError, cluster
from kcnn.distribute.keras_internals import (
    array_of,
    begin_at,
    many_workers,
    strategy_of,
)

__all__ = ["Checkpoint"]

KEPT = 2  # the newest, and the one before for the case that it is damaged


class Checkpoint(keras.callbacks.Callback):
    """Goes on where the last run with this folder was ended, at most `every` epochs ago.

    After every `every` epochs worker 0 writes weights, optimizer and random states to one file,
    which appears whole or not at all. When `fit` begins, all workers read the newest file that is
    undamaged: the folder has to be one that all of them see. A run that had come to its end is
    not trained again. What is to be equal to an undisturbed run has to give the same batches in
    an epoch, whichever epochs came before it.

    >>> _ = kcnn.distribute.fit(model, x, y, epochs=2, callbacks=Checkpoint("kept"), verbose=0)
    >>> kcnn.distribute.fit(model, x, y, epochs=3, callbacks=Checkpoint("kept"), verbose=0).epoch
    [2]
    """

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 1) -> None:
        super().__init__()
        self.folder, self.every = Path(folder), every

    def on_train_begin(self, logs: Any = None) -> None:
        epoch = self._restore()
        strategy = strategy_of(self.model)
        if many_workers(strategy):
            import tensorflow as tf

            epochs = strategy.gather(tf.constant([epoch]), axis=0).numpy()
            if (epochs != epochs[0]).any():
                worker = int(np.argmax(epochs != epochs[0]))
                raise DistributeError(
                    f"{cluster().name(worker)} finds epoch {epochs[worker]} in {self.folder}, "
                    f"worker 0 epoch {epochs[0]}; give a folder that all workers see."
                )
        begin_at(self.model, epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        last = self.params.get("epochs") == epoch + 1 or self.model.stop_training
        if ((epoch + 1) % self.every and not last) or not self._writes():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"v{i}": array_of(v) for i, v in enumerate(_state(self.model))}
        file = self.folder / f"epoch-{epoch + 1:06d}.npz"
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
        for old in self._files()[KEPT:]:
            old.unlink()

    def _writes(self) -> bool:
        return not many_workers(strategy_of(self.model)) or cluster().chief

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.npz"), reverse=True)

    def _restore(self) -> int:
        """Take the state of the newest whole file; the number of epochs that are done."""
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        for file in self._files():
            try:
                with np.load(file) as stored:
                    values = [stored[f"v{i}"] for i in range(len(stored.files))]
            except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
                warnings.warn(f"{file} is damaged ({error}); the one before is used.", stacklevel=2)
                continue
            variables = _state(self.model)
            shapes = [tuple(v.shape) for v in variables]
            if shapes != [v.shape for v in values]:
                raise DistributeError(
                    f"{file} is of another model or optimizer; give Checkpoint another folder."
                )
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return int(file.stem.removeprefix("epoch-"))
        return 0


def _state(model: keras.Model) -> list[Any]:
    """Everything that training changes, but for metrics, which begin anew in each epoch."""
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [*model.variables, *model.optimizer.variables]
    return [variable for variable in variables if id(variable) not in metrics]
