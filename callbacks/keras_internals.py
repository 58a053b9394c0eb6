"""What Keras and TensorFlow do not offer in public, each behind a function with a test."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np

__all__ = ["array_of", "global_seed_state", "strategy_scope"]


def array_of(value: Any) -> np.ndarray:
    """The value of a variable or tensor as an array.

    Under a `tf.distribute` strategy a variable has a copy on each replica, which NumPy refuses to
    convert: what is read is the one value they stand for (their sum, for a metric's).
    """
    if isinstance(value, keras.Variable):
        value = value.value
    read = getattr(value, "read_value", None)
    return keras.ops.convert_to_numpy(value if read is None else read())


def strategy_scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """The scope in which variables of `model` may be made; nothing where it has no strategy."""
    strategy = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def global_seed_state() -> Any:
    """The variable behind `keras.random.*` with no seed, or None while nothing has used it."""
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return None if generator is None else generator.state
