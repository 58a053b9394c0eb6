"""Leave no trace: everything an examination touches, put back."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.view import unlinked
from kcnn.callbacks.state import Snapshot

__all__ = ["untouched"]

FUNCTIONS = ("train_function", "test_function", "predict_function", "history", "_compute_loss_has")


@contextlib.contextmanager
def untouched(model: keras.Model) -> Iterator[Snapshot]:
    """Weights, optimizer, metrics, compiled functions, random states and names as before."""
    from keras.src.backend.common import global_state

    seed_name = "global_seed_generator"  # Keras 3.12 has no constant for it
    had_seed = global_state.get_global_attribute(seed_name) is not None
    names = copy.deepcopy(global_state.get_global_attribute("object_name_uids"))
    attributes = {name: model.__dict__[name] for name in FUNCTIONS if name in model.__dict__}
    trained = [(layer, layer.trainable) for layer in model._flatten_layers()]
    backend = _backend_state()
    snapshot = Snapshot(model)
    try:
        with unlinked(model):
            yield snapshot
    finally:
        snapshot.restore()
        for layer, trainable in trained:
            if layer.trainable != trainable:
                layer.trainable = trainable
        for name in FUNCTIONS:
            if name in attributes:
                setattr(model, name, attributes[name])
            elif name in model.__dict__:
                delattr(model, name)
        if not had_seed:
            global_state.set_global_attribute(seed_name, None)
        if names is not None:
            global_state.set_global_attribute("object_name_uids", names)
        _restore_backend(backend)


def _backend_state() -> Any:
    if keras.config.backend() != "tensorflow":
        return None
    from tensorflow.python.eager import context

    inner = context.context()
    rng = getattr(inner, "_rng", None)
    return inner._seed, None if rng is None else rng.getstate()


def _restore_backend(state: Any) -> None:
    if state is None:
        return
    from tensorflow.python.eager import context

    inner = context.context()
    rng = getattr(inner, "_rng", None)
    if rng is not None and state[1] is not None:
        rng.setstate(state[1])


def first_rows(x: Any, count: int) -> Any:
    """The first rows of a nest of arrays."""
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf[:count]), x)
