"""Truth for the learning-rate benchmark: every task trained at every rate of a dense grid."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from benchmarks._lr_tasks import Task
from kcnn.callbacks import Snapshot

__all__ = ["Trainer", "tail_loss"]


class Trainer:
    """Trains one initialized model from its start at any rate, in one compiled loop."""

    def __init__(self, task: Task, seed: int):
        self.task, self.seed = task, seed
        self.model = task.model(seed)
        x, y = task.data()
        self.x, self.y = tf.constant(x), tf.constant(y)
        self.start = Snapshot(self.model)
        signature = [tf.TensorSpec([None, task.batch_size], "int64"), tf.TensorSpec([None])]
        self._loop = tf.function(self._steps, input_signature=signature)

    def losses(self, rates: ArrayLike, steps: int, *, order_seed: int | None = None) -> np.ndarray:
        """Batch losses of `steps` steps from the start; NaN after divergence. float32 (steps,).

        `rates` is one learning rate or one for each step.
        """
        self.start.rewind()
        rng = np.random.default_rng(self.seed if order_seed is None else order_seed)
        batch, rows = self.task.batch_size, len(self.x)
        per_epoch = rows // batch
        passes = -(-steps // per_epoch)
        order = np.concatenate(
            [rng.permutation(rows)[: per_epoch * batch].reshape(-1, batch) for _ in range(passes)]
        )[:steps]
        each = np.broadcast_to(np.asarray(rates, "float32"), (steps,))
        losses = self._loop(tf.constant(order), tf.constant(each)).numpy()
        losses[np.logical_or.accumulate(~np.isfinite(losses))] = np.nan
        return losses

    def _steps(self, order, rates):
        model, optimizer = self.model, self.model.optimizer
        count = tf.shape(order)[0]
        losses = tf.TensorArray(tf.float32, size=count)
        variables = model.trainable_variables
        for i in tf.range(count):
            optimizer.learning_rate.assign(rates[i])
            x, y = tf.gather(self.x, order[i]), tf.gather(self.y, order[i])
            with tf.GradientTape() as tape:
                loss = model.compute_loss(x, y, model(x, training=True), None)
            optimizer.apply(tape.gradient(loss, variables), variables)
            losses = losses.write(i, loss)
            if not tf.math.is_finite(loss):
                break
        return losses.stack()


def tail_loss(losses: np.ndarray) -> float:
    """Mean of the last eighth of the batch losses; infinity after divergence."""
    tail = losses[-max(4, len(losses) // 8) :]
    return float(np.mean(tail)) if np.isfinite(losses).all() else float("inf")
