"""Brief trainings of one network through its own training step, on any backend."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor._deadline import NEVER, Deadline
from kcnn.callbacks.keras_internals import (
    array_of,
    loss_weights_of,
    put_step_functions,
    rate_source,
    step_functions,
)
from kcnn.callbacks.state import innermost, sync

__all__ = ["Trainer", "batch_order", "copy_optimizer", "loss_among"]

SHOWN = 32e6  # bytes of rows that are copied into the order of a trial at a time
BATCH = 32  # rows at a time where only the loss is asked for


def batch_order(n: int, batch: int, steps: int, *, shuffle: bool, seed: int) -> np.ndarray:
    """Row numbers (steps, batch), int32, epoch after epoch."""
    rng = np.random.default_rng(seed)
    need = steps * batch
    rounds = -(-need // n)
    if shuffle:
        stream = np.concatenate([rng.permutation(n) for _ in range(rounds)])
    else:
        stream = np.tile(np.arange(n), rounds)
    return stream[:need].reshape(steps, batch).astype("int32")


class Trainer:
    """Trains a model on rows in memory by `fit`: whatever its class does in a step is done.

    Args:
        model: A built model, compiled or not; it is changed by `train`. The user's own model
            has its optimizer and its step functions again after each call.
        like: The compiled model whose loss and optimizer are taken.
        weighted: Whether rows carry sample weights.
        optimizer: Another optimizer instead of a copy of `like`'s.
        loss: Another loss.
    """

    def __init__(self, model, like, *, weighted=False, optimizer=None, loss=None):
        self.model, self.weighted = model, weighted
        self.optimizer = optimizer or copy_optimizer(like.optimizer)
        if model is not like:
            model.compile(
                optimizer=self.optimizer, loss=loss or like.loss, metrics=None,
                loss_weights=loss_weights_of(like), run_eagerly=like.run_eagerly,
            )  # fmt: skip
        if not self.optimizer.built:
            self.optimizer.build(model.trainable_variables)
        self._slots = [array_of(v) for v in self.optimizer.variables]
        self.start = [array_of(v) for v in model.variables]
        self.losses_at_start: dict[Any, float] = {}
        self._functions = {  # made by the first call, for this optimizer
            name: None if name.endswith("_function") else value
            for name, value in step_functions(model).items()
        }

    def reset(self, values: list[np.ndarray] | None = None) -> None:
        """The start (or other weights) again, with a fresh optimizer."""
        for variable, value in zip(self.model.variables, values or self.start, strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._slots, strict=True):
            variable.assign(value)

    def values(self) -> list[np.ndarray]:
        return [array_of(v) for v in self.model.variables]

    def train(
        self, rows: Rows, order: np.ndarray, rates: Any, until: Deadline = NEVER
    ) -> np.ndarray:
        """Losses (steps,) of training on `rows` in `order` with a rate for each step.

        Ends early where `until` is over, or when the loss is lost.
        """
        rates = np.broadcast_to(np.asarray(rates, "float32"), (len(order),))
        pace = _Pace(rate_source(innermost(self.optimizer)[-1]), rates, until)
        leaves = [leaf for leaf in keras.tree.flatten([rows.x, rows.y]) if leaf is not None]
        step_bytes = sum(leaf[:1].nbytes for leaf in leaves) * order.shape[1]
        size = max(1, int(SHOWN // max(step_bytes, 1)))
        with self._at_work():
            for pace.begin in range(0, len(order), size):
                shown = rows.take(order[pace.begin : pace.begin + size].reshape(-1))
                self.model.fit(
                    shown.x, shown.y, sample_weight=shown.weight if self.weighted else None,
                    batch_size=order.shape[1], shuffle=False, verbose=0, callbacks=[pace],
                )  # fmt: skip
                if pace.over:
                    break
        return np.asarray(pace.losses)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """The trial's optimizer and its compiled steps in the model."""
        model, own, held = self.model, self.model.optimizer, step_functions(self.model)
        put_step_functions(model, self._functions)
        model.optimizer = self.optimizer
        try:
            yield
        finally:
            sync(model)
            self._functions = step_functions(model)
            put_step_functions(model, held)
            model.optimizer = own

    def loss_of(self, rows: Rows) -> float:
        """Loss of the present weights: of the test step, or of the model's own step at rate 0."""
        kind = type(self.model)
        standard = kind.train_step is keras.Model.train_step
        if standard or kind.test_step is not keras.Model.test_step or self.model.loss is not None:
            with self._at_work():
                logs = self.model.evaluate(
                    rows.x, rows.y, batch_size=BATCH, verbose=0, return_dict=True
                )
            loss = loss_among(logs)
            return float("nan") if loss is None else loss
        held = self.values()
        order = batch_order(rows.n, min(BATCH, rows.n), -(-rows.n // BATCH), shuffle=False, seed=0)
        losses = self.train(rows, order, 0.0)
        self.reset(held)
        return float(losses[-1])

    def predict(self, x: Any, batch: int = 512) -> Any:
        """Predictions in inference mode, as arrays."""
        with self._at_work():
            return in_pieces(self.model.predict_on_batch, x, batch)


def in_pieces(function: Any, x: Any, batch: int) -> Any:
    """What a function of rows answers for all of them, as arrays."""
    n = len(keras.tree.flatten(x)[0])
    parts = []
    for at in range(0, n, batch):
        out = function(keras.tree.map_structure(lambda leaf: leaf[at : at + batch], x))  # noqa: B023
        parts.append(keras.tree.map_structure(lambda t: np.asarray(t), out))
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


class _Pace(keras.callbacks.Callback):
    """A rate for each step; the losses; an end when time is up or the loss is lost."""

    def __init__(self, rate: Any, rates: np.ndarray, until: Deadline):
        super().__init__()
        self.rate, self.rates, self.until = rate, rates, until
        self.losses: list[float] = []
        self.begin, self.over, self._now = 0, False, -1.0

    def on_train_batch_begin(self, batch, logs=None):
        rate = float(self.rates[min(self.begin + batch, len(self.rates) - 1)])
        if rate != self._now:
            sync(self.model)
            self.rate.assign(rate)
            self._now = rate

    def on_train_batch_end(self, batch, logs=None):
        loss = loss_among(logs or {})
        self.losses.append(0.0 if loss is None else loss)  # a step may log nothing
        if self.until.over or not np.isfinite(self.losses[-1]):
            self.over = self.model.stop_training = True


def loss_among(logs: Mapping[str, Any]) -> Any:
    """The loss among logs, by its name or by the first name that speaks of one; None without."""
    names = [name for name in logs if "loss" in name and not name.startswith("val_")]
    if not names:
        return None
    return float(np.mean(logs["loss" if "loss" in names else names[0]]))


def copy_optimizer(optimizer: Any, **changes: Any) -> Any:
    """A fresh optimizer of the same kind whose learning rate is a plain variable."""
    inner = innermost(optimizer)[-1]
    config = inner.get_config()
    if not isinstance(config.get("learning_rate"), (int, float)):
        config["learning_rate"] = 0.001
    config.update(changes)
    copy = type(inner).from_config(config)
    if any(isinstance(one, keras.optimizers.LossScaleOptimizer) for one in innermost(optimizer)):
        return keras.optimizers.LossScaleOptimizer(copy)
    return copy
