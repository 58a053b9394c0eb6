"""Leave no trace: everything an examination touches, put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import (
    eager_random_state,
    graph_links,
    layers_of,
    name_counters,
    put_eager_random_state,
    put_global_names,
    put_step_functions,
    step_functions,
)
from kcnn.callbacks.state import Snapshot

__all__ = ["Trace", "first_rows", "untouched"]


class Trace:
    """All that a training or a look at a model changes, as it is now.

    `restore` puts back weights, optimizer, metrics and random states, any number of times;
    `put_back` also names, compiled functions and trainable flags.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self._names = name_counters()
        self._functions = step_functions(model)
        self._trainable = [(layer, layer.trainable) for layer in layers_of(model)]
        self._random = eager_random_state()
        self._snapshot = Snapshot(model)
        self.end: Trace | None = None

    def restore(self) -> None:
        self._snapshot.restore()

    def put_back(self) -> None:
        self._snapshot.restore()
        for layer, trainable in self._trainable:
            if layer.trainable != trainable:
                layer.trainable = trainable
        put_step_functions(self.model, self._functions)
        put_global_names(self._names)
        put_eager_random_state(self._random)

    def end_here(self) -> None:
        """What is true now shall be left behind, not what was true at the start."""
        self.end = Trace(self.model)


@contextlib.contextmanager
def untouched(model: keras.Model) -> Iterator[Trace]:
    """Weights, optimizer, metrics, compiled functions, random states and names as before."""
    trace = Trace(model)
    try:
        with graph_links(model):
            yield trace
    finally:
        (trace.end or trace).put_back()


def first_rows(x: Any, count: int) -> Any:
    """The first rows of a nest of arrays."""
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf[:count]), x)
