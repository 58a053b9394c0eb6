"""A copy, on the device, of everything that training changes."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import (
    array_of,
    global_seed_state,
    layers_of,
    rate_source,
    set_rate_source,
    strategy_scope,
)
from kcnn.callbacks.state._optimizer import innermost, optimizers_of, unique
from kcnn.callbacks.state._torch_random import torch_randoms

__all__ = [
    "Snapshot", "all_built", "copies", "finished", "put_back", "require_compiled",
    "state_variables", "sync",
]  # fmt: skip


class Snapshot:
    """Everything `fit` changes in a compiled model, restored bit by bit.

    Held: weights (batch statistics too), the states of dropout's and augmentation's
    seed generators, optimizer slots, iteration count and learning rate (a schedule
    object is put back as the same object), metric states, `stop_training`, and the
    global random states of Python, NumPy, Keras and PyTorch. Copies stay in device memory
    (one copy of every variable), no file is written.

    Args:
        model: A built, compiled `keras.Model`. An unbuilt optimizer is built, with
            the same values that the first step would have given it.

    Raises:
        ValueError: if the model is not built or not compiled.

    >>> snapshot = Snapshot(model)
    >>> history = model.fit(x, y, verbose=0)
    >>> snapshot.restore()
    """

    def __init__(self, model: keras.Model):
        require_compiled(model, "Snapshot")
        if not all_built(model):
            raise ValueError(
                f"Snapshot: model {model.name!r} has no weights yet; call it on one batch "
                "or give it an input shape first."
            )
        sync(model)
        if not model.optimizer.built:
            with strategy_scope(model):
                model.optimizer.build(model.trainable_variables)
            model.optimizer.built = True
        self.model = model
        self.values = copies(state_variables(model))
        self._metrics = copies(_metric_variables(model))
        self._optimizers = [(o, rate_source(o), o.weight_decay) for o in innermost(model.optimizer)]
        self.stop_training = model.stop_training
        self._random = random.getstate(), np.random.get_state()  # noqa: NPY002

    def restore(self) -> None:
        """Put everything back. May be called any number of times.

        An interrupt (Ctrl-C) that arrives in the middle is raised after the last value
        is back.
        """
        finished(self._restore)

    def _restore(self) -> None:
        model = self.model
        for optimizer, rate, weight_decay in self._optimizers:
            if rate_source(optimizer) is not rate:
                set_rate_source(optimizer, rate)
            if optimizer.weight_decay is not weight_decay:
                optimizer.weight_decay = weight_decay
        self.rewind()
        model.stop_training = self.stop_training
        random.setstate(self._random[0])
        np.random.set_state(self._random[1])  # noqa: NPY002

    def rewind(self) -> None:
        """Put back the values alone: of weights, optimizer, seeds and metrics."""
        model = self.model
        sync(model)
        put_back(self.values)
        known = {id(variable) for variable, _ in self._metrics}
        if any(id(v) not in known for v in _metric_variables(model)):
            for one in _models_in(model):
                one.reset_metrics()  # born after the snapshot: their beginning is zero
        put_back(self._metrics)

    def same(self) -> list[str]:
        """Paths of the variables whose value is no longer the snapshot's, bit by bit."""
        sync(self.model)
        return [
            variable.path
            for variable, value in self.values + self._metrics
            if _bytes(variable.value) != _bytes(value)
        ]


def all_built(model: keras.Model) -> bool:
    """Whether all weights exist.

    A model without a `call` is never built itself, and what has no `build` makes no weights: a
    padding inside a layer that tells its output's shape is not built before the first batch.
    """
    parts = layers_of(model)[1:]
    own = model.built or type(model).call is keras.Model.call
    return bool(
        own
        and model.variables
        and all(part.built or type(part).build is keras.layers.Layer.build for part in parts)
    )


def require_compiled(model: Any, who: str) -> None:
    """Raise ValueError unless `model` is a compiled Keras model with an optimizer."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{who}: expected a keras.Model; received {type(model).__name__}.")
    if not model.compiled or model.optimizer is None:
        raise ValueError(
            f"{who}: model {model.name!r} is not compiled with an optimizer; call "
            "model.compile(optimizer=..., loss=...) first."
        )


def sync(model: keras.Model) -> None:
    """On JAX, bring the state that `fit` holds back into the variables."""
    if keras.config.backend() == "jax":
        model.jax_state_sync()


def copies(variables: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Variables and their present values, copied on the device."""
    return [(variable, keras.ops.copy(variable.value)) for variable in variables]


def finished(put: Callable[[], Any]) -> None:
    """Do it, and once more where an interrupt (Ctrl-C) came in the middle, which is raised then."""
    try:
        put()
    except KeyboardInterrupt:
        put()
        raise


def put_back(values: Iterable[tuple[Any, Any]]) -> None:
    """Assign saved values to their variables; the saved ones stay good for the next time."""
    lends = keras.config.backend() == "jax"  # assigns the array itself, which a step uses up
    for variable, value in values:
        variable.assign(keras.ops.copy(value) if lends else value)


def state_variables(model: keras.Model) -> list[Any]:
    """Weights, seed states (PyTorch's global ones too) and optimizer variables, each once."""
    found = list(model.variables)
    for optimizer in optimizers_of(model):
        found += optimizer.variables
    for optimizer in innermost(model.optimizer):
        found += [
            v
            for v in (rate_source(optimizer), optimizer.weight_decay)
            if isinstance(v, keras.Variable)
        ]
    seed = global_seed_state()
    found += [*([] if seed is None else [seed]), *torch_randoms()]
    return unique(found)


def _models_in(model: keras.Model) -> list[keras.Model]:
    """The model, and those inside of it whose own `train_step` may be asked."""
    return [one for one in layers_of(model) if isinstance(one, keras.Model)]


def _metric_variables(model: keras.Model) -> list[Any]:
    return unique(v for one in _models_in(model) for v in one.metrics_variables)


def _bytes(value: Any) -> bytes:
    return np.ascontiguousarray(array_of(value)).tobytes()
