"""The standard training step in one compiled loop for any rows, order and rates."""

import time
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor._deadline import NEVER, Deadline
from kcnn.callbacks.doctor.program.rows import tensors
from kcnn.callbacks.doctor.trials.trainer import Trainer, in_pieces
from kcnn.callbacks.keras_internals import rate_source
from kcnn.callbacks.state import innermost

__all__ = ["CompiledTrainer"]


class CompiledTrainer(Trainer):
    """On TensorFlow, and with the standard step only: many steps in one call."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._train: Any = None
        self._predict: Any = None

    def train(
        self, rows: Rows, order: np.ndarray, rates: Any, until: Deadline = NEVER
    ) -> np.ndarray:
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
                size = int(np.clip(0.5 / max(took / done, 1e-6), 1, 4 * size + 4))
            if until.over or not np.isfinite(losses[-1][-1]):
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
        x, y = tensors(rows.x), tensors(rows.y)
        loss = self.model.compute_loss(x, y, self.model(x, training=False), None)
        return float(keras.ops.convert_to_numpy(loss))

    def predict(self, x: Any, batch: int = 512) -> Any:
        import tensorflow as tf

        if self._predict is None:
            forward = lambda part: self.model(part, training=False)  # noqa: E731
            self._predict = tf.function(forward, autograph=False, reduce_retracing=True)
        return in_pieces(lambda part: self._predict(tensors(part)), x, batch)
