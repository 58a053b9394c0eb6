"""Brief trainings of one network: one compiled loop for any rows, order and rates."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor.program.rows import tensors
from kcnn.callbacks.keras_internals import array_of, loss_weights_of, rate_source
from kcnn.callbacks.state import innermost

__all__ = ["Trainer", "batch_order", "copy_optimizer"]


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
    """Trains a model on rows in memory with the loss of its `compile`.

    Args:
        model: A built model, compiled or not; it is changed by `train`.
        like: The compiled model whose loss and optimizer are taken.
        weighted: Whether rows carry sample weights.
        optimizer: Another optimizer instead of a copy of `like`'s.
        loss: Another loss.
    """

    def __init__(self, model, like, *, weighted=False, optimizer=None, loss=None):
        self.model = model
        self.optimizer = optimizer or copy_optimizer(like.optimizer)
        self.weighted = weighted
        if model is not like or loss is not None:
            given = loss_weights_of(like)
            model.compile(
                optimizer=self.optimizer, loss=loss or like.loss, loss_weights=given, metrics=None
            )
        if not self.optimizer.built:
            self.optimizer.build(model.trainable_variables)
        self._slots = [array_of(v) for v in self.optimizer.variables]
        self.start = [array_of(v) for v in model.variables]
        self._train: Any = None
        self._predict: Any = None
        self.step_seconds = 0.0

    def reset(self, values: list[np.ndarray] | None = None) -> None:
        """The start (or other weights) again, with a fresh optimizer."""
        for variable, value in zip(self.model.variables, values or self.start, strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._slots, strict=True):
            variable.assign(value)

    def values(self) -> list[np.ndarray]:
        return [array_of(v) for v in self.model.variables]

    def train(self, rows: Rows, order: np.ndarray, rates: Any, until: float = np.inf) -> np.ndarray:
        """Losses (steps,) of training on `rows` in `order` with a rate for each step.

        Ends early at the clock time `until` (time.perf_counter), or when the loss is lost.
        """
        import tensorflow as tf

        if self._train is None:
            self._train = self._loop(tf)
        rates = np.broadcast_to(np.asarray(rates, "float32"), (len(order),))
        feed = [tensors(rows.x), tensors(rows.y)]
        feed.append(tf.constant(rows.weight) if self.weighted else tf.zeros((1,)))
        losses: list[np.ndarray] = []
        size, at = 1, 0
        while at < len(order):
            begin = time.perf_counter()
            part = slice(at, at + size)
            losses.append(self._train(*feed, order[part], rates[part]).numpy())
            took = time.perf_counter() - begin
            done, at = min(size, len(order) - at), at + size
            if at > 1:
                self.step_seconds = took / done
                size = int(np.clip(0.5 / max(took / done, 1e-6), 1, 4 * size + 4))
            if time.perf_counter() > until or not np.isfinite(losses[-1][-1]):
                break
        return np.concatenate(losses) if losses else np.zeros((0,))

    def _loop(self, tf):
        model, optimizer, weighted = self.model, self.optimizer, self.weighted
        variables = model.trainable_variables
        inner = innermost(optimizer)[-1]

        def step(x, y, weight, index, rate):
            rate_source(inner).assign(rate)
            pick = lambda leaf: tf.gather(leaf, index)  # noqa: E731
            x, y = tf.nest.map_structure(pick, x), tf.nest.map_structure(pick, y)
            weight = tf.gather(weight, index) if weighted else None
            with tf.GradientTape() as tape:
                out = model(x, training=True)
                loss = model.compute_loss(x, y, out, weight)
                whole = optimizer.scale_loss(loss)  # of mixed precision; itself elsewhere
            optimizer.apply(tape.gradient(whole, variables), variables)
            return tf.cast(loss, tf.float32)

        def loop(x, y, weight, order, rates):
            count = tf.shape(order)[0]
            log = tf.TensorArray(tf.float32, size=count)

            def body(i, log):
                return i + 1, log.write(i, step(x, y, weight, order[i], rates[i]))

            return tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), log))[1].stack()

        compiled: dict[Any, Any] = {}

        def run(x, y, weight, order, rates):
            order, rates = tf.constant(order), tf.constant(rates)
            flat = tf.nest.flatten((x, y, weight, order, rates))
            key = tuple((leaf.dtype, tuple(leaf.shape[1:])) for leaf in flat[:-2])
            if key not in compiled:
                free = lambda leaf: tf.TensorSpec([None] + list(leaf.shape[1:]), leaf.dtype)  # noqa: E731
                ids = tf.TensorSpec([None, None], tf.int32)
                signature = [tf.nest.map_structure(free, part) for part in (x, y, weight)]
                signature += [ids, tf.TensorSpec([None], tf.float32)]
                compiled[key] = tf.function(loop, input_signature=signature, autograph=False)
            return compiled[key](x, y, weight, order, rates)

        return run

    def loss_of(self, rows: Rows) -> float:
        """Loss of the present weights in inference mode."""
        x, y = tensors(rows.x), tensors(rows.y)
        loss = self.model.compute_loss(x, y, self.model(x, training=False), None)
        return float(keras.ops.convert_to_numpy(loss))

    def predict(self, x: Any, batch: int = 512) -> Any:
        """Predictions in inference mode, as arrays."""
        import tensorflow as tf

        if self._predict is None:
            self._predict = tf.function(
                lambda part: self.model(part, training=False),
                autograph=False,
                reduce_retracing=True,
            )
        n = len(keras.tree.flatten(x)[0])
        parts = []
        for at in range(0, n, batch):
            piece = keras.tree.map_structure(lambda leaf: leaf[at : at + batch], x)  # noqa: B023
            out = self._predict(tensors(piece))
            parts.append(keras.tree.map_structure(lambda t: np.asarray(t), out))
        return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


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
