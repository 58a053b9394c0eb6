"""What Keras does not offer in public of training: rates, step functions, seeds, names."""

import contextlib
import copy
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

__all__ = [
    "TEST", "TRAIN", "array_of", "fresh_step_function", "global_seed_state", "name_counters",
    "put_global_names", "put_step_functions", "rate_source", "set_rate_source", "set_step_function",
    "step_function", "step_functions", "strategy_scope", "untrack_variable",
]  # fmt: skip

SEED, NAMES = "global_seed_generator", "object_name_uids"
TRAIN, TEST = "train_function", "test_function"


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


def rate_source(optimizer: Any) -> Any:
    """What the learning rate comes from: a variable, a schedule or a callable.

    Without Keras's attribute: the rate of the next step, whatever it comes from.
    """
    source = getattr(optimizer, "_learning_rate", None)
    return optimizer.learning_rate if source is None else source


def set_rate_source(optimizer: Any, source: Any) -> None:
    """Put in another variable, schedule or callable; Keras's setter would assign instead."""
    optimizer._learning_rate = source


def untrack_variable(owner: Any, variable: Any) -> None:
    """Let an optimizer or layer forget a variable that was put into it; else it stays listed."""
    forget = getattr(owner, "_untrack_variable", None)
    if forget is not None:
        forget(variable)


def step_function(model: keras.Model) -> Any:
    """The compiled training step, or None before the first `fit`."""
    return getattr(model, "train_function", None)


def set_step_function(model: keras.Model, function: Any) -> None:
    """Put in another one; None makes the next `fit` trace anew."""
    model.train_function = function


def fresh_step_function(model: keras.Model) -> Any:
    """Trace the training step anew and give it."""
    model.make_train_function(force=True)
    return model.train_function


def step_functions(model: keras.Model) -> dict[str, Any]:
    """What `fit` leaves on a model beside its variables: compiled functions and history."""
    names = (TRAIN, TEST, "predict_function", "history", "_compute_loss_has")
    return {name: vars(model)[name] for name in names if name in vars(model)}


def put_step_functions(model: keras.Model, held: dict[str, Any]) -> None:
    """Put back what `step_functions` gave; what was not there is taken off."""
    for name in set(step_functions(model)) - set(held):
        delattr(model, name)
    for name, value in held.items():
        setattr(model, name, value)


def global_seed_state() -> Any:
    """The variable behind `keras.random.*` with no seed, or None while nothing has used it."""
    generator = _global_state().get_global_attribute(SEED)
    return None if generator is None else generator.state


def name_counters() -> tuple[Any, bool]:
    """How many objects of each kind have been named, and whether there is a global seed."""
    state = _global_state()
    return (
        copy.deepcopy(state.get_global_attribute(NAMES)),
        state.get_global_attribute(SEED) is not None,
    )


def put_global_names(held: tuple[Any, bool]) -> None:
    """Put back what `name_counters` gave; a global seed born since is forgotten."""
    state = _global_state()
    if held[0] is not None:
        state.set_global_attribute(NAMES, held[0])
    if not held[1]:
        state.set_global_attribute(SEED, None)


def _global_state() -> Any:
    """Keras's store of global attributes; without it names count on and seeds stay."""
    try:
        from keras.src.backend.common import global_state
    except ImportError:
        return SimpleNamespace(get_global_attribute={}.get, set_global_attribute={}.setdefault)
    return global_state
