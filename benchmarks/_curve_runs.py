"""Real trainings whose true state is known by construction, for benchmarks/curves.py."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import _lr_tasks as tasks

__all__ = ["RUNS", "SEEDS", "Run", "train"]

optimizers = keras.optimizers


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: `truth` is overfitting, healthy, underfitting or unstable by construction.

    Overfitting: few or wrong labels, a big model, many epochs. Healthy: many rows, a model
    that suits them, a rate that decays to zero. Underfitting: a rate far too low, too few
    epochs, too little capacity, or far too much regularization. Unstable: a rate 30 times
    the best one and more.
    """

    truth: str
    data: str
    rows: int
    model: str
    rate: float
    epochs: int
    optimizer: str = "adam"
    batch: int = 32
    wrong: float = 0.0  # share of wrong training labels
    decay: bool = False
    penalty: float = 0.0

    @property
    def name(self) -> str:
        extra = f"-wrong{self.wrong:g}" if self.wrong else ""
        return (
            f"{self.truth}-{self.data}{self.rows}-{self.model}-{self.optimizer}{self.rate:g}{extra}"
        )


OVER = [
    Run("overfitting", "fashion", 100, "mlp256", 1e-3, 60),
    Run("overfitting", "fashion", 300, "mlp256", 3e-3, 60),
    Run("overfitting", "clusters", 300, "mlp128", 1e-3, 60, wrong=0.3),
    Run("overfitting", "fashion", 300, "cnn", 3e-3, 60),
    Run("overfitting", "digits", 150, "mlp128", 1e-3, 80, wrong=0.2),
    Run("overfitting", "fashion", 1000, "mlp256", 1e-3, 40, wrong=0.3),
    Run("overfitting", "fashion", 300, "mlp128", 0.05, 60, "sgd", wrong=0.1),
    Run("overfitting", "clusters", 600, "mlp256", 0.02, 60, "sgd", wrong=0.4),
]
HEALTHY = [
    Run("healthy", "fashion", 4000, "cnn", 3e-3, 12, decay=True),
    Run("healthy", "digits", 1000, "cnn", 3e-3, 20, decay=True),
    Run("healthy", "clusters", 8000, "mlp32", 3e-3, 20, decay=True),
    Run("healthy", "fashion", 8000, "mlp32drop", 2e-3, 15, decay=True),
    Run("healthy", "fashion", 8000, "logistic", 0.02, 20, "sgd", decay=True),
    Run("healthy", "spirals", 8000, "mlp128", 3e-3, 30, decay=True),
    Run("healthy", "textures", 8000, "cnn", 3e-3, 15, decay=True),
]
UNDER = [
    Run("underfitting", "fashion", 2000, "mlp128", 1e-5, 20),
    Run("underfitting", "digits", 1000, "mlp128", 3e-4, 20, "sgd"),
    Run("underfitting", "textures", 4000, "cnn", 3e-4, 4),
    Run("underfitting", "spirals", 4000, "logistic", 1e-2, 30),
    Run("underfitting", "digits", 1000, "mlp1", 3e-3, 30),
    Run("underfitting", "fashion", 4000, "mlp32", 3e-3, 20, penalty=0.5),
    Run("underfitting", "clusters", 4000, "mlp2", 3e-3, 25),
]
UNSTABLE = [
    Run("unstable", "fashion", 2000, "mlp128", 1.0, 20, "sgd"),
    Run("unstable", "fashion", 2000, "cnn", 0.2, 20),
    Run("unstable", "digits", 1000, "mlp128", 0.1, 30, batch=8),
    Run("unstable", "clusters", 4000, "mlp128", 0.3, 20),
    Run("unstable", "spirals", 4000, "mlp128", 1.5, 30, "sgd"),
    Run("unstable", "textures", 4000, "cnn", 0.3, 15),
]
SEEDS = 3
RUNS = [
    (run, seed)
    for group in (OVER, HEALTHY, UNDER, UNSTABLE)
    for run in group
    for seed in range(SEEDS)
]


def rows_of(run: Run, seed: int) -> tuple[Any, ...]:
    """Training rows, a small validation set (200) as users have, and a large one (truth)."""
    x, y = {
        "fashion": lambda: tasks.fashion(count=12000),
        "digits": tasks.digits,
        "clusters": lambda: tasks.clusters(0.0, count=12000),
        "spirals": lambda: tasks.spirals(count=12000),
        "textures": lambda: tasks.textures(count=12000),
    }[run.data]()
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order].astype("int64")
    n = run.rows
    train_y = y[:n].copy()
    wrong = np.random.default_rng(seed + 50).random(n) < run.wrong
    train_y[wrong] = np.random.default_rng(seed + 90).integers(0, y.max() + 1, wrong.sum())
    small, large = slice(n, n + 200), slice(n + 200, min(len(x), n + 4200))
    return (x[:n], train_y), (x[small], y[small]), (x[large], y[large])


def model_of(run: Run, shape: tuple[int, ...], classes: int) -> keras.Model:
    if run.model == "cnn":
        return tasks.cnn(16, 32, 32, outputs=classes)(shape)
    if run.model == "logistic":
        return tasks.mlp(outputs=classes)(shape)
    width = int("".join(c for c in run.model if c.isdigit()))
    inputs = keras.Input(shape)
    h = keras.layers.Flatten()(inputs)
    for size in (width, max(width // 2, 1)) if width > 2 else (width,):
        penalty = keras.regularizers.L2(run.penalty) if run.penalty else None
        h = keras.layers.Dense(size, activation="relu", kernel_regularizer=penalty)(h)
        h = keras.layers.Dropout(0.2)(h) if run.model.endswith("drop") else h
    return keras.Model(inputs, keras.layers.Dense(classes)(h))


def train(run: Run, seed: int) -> dict[str, list[float | None]]:
    """The history, as `fit` gives it (None: not finite), and "true_val_loss" on the large set."""
    keras.utils.set_random_seed(seed)
    train_rows, small, large = rows_of(run, seed)
    classes = int(max(part[1].max() for part in (train_rows, small, large))) + 1
    model = model_of(run, train_rows[0].shape[1:], classes)
    steps = max(1, run.rows // run.batch)
    rate: Any = (
        optimizers.schedules.CosineDecay(run.rate, steps * run.epochs) if run.decay else run.rate
    )
    optimizer = (
        optimizers.SGD(rate, momentum=0.9) if run.optimizer == "sgd" else optimizers.Adam(rate)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    optimizer.build(model.trainable_variables)
    variables = model.trainable_variables
    x, y = (tf.constant(part) for part in train_rows)

    @tf.function
    def epoch(order):
        total, right = tf.zeros(()), tf.zeros(())
        for i in tf.range(steps):
            bx, by = tf.gather(x, order[i]), tf.gather(y, order[i])
            with tf.GradientTape() as tape:
                scores = model(bx, training=True)
                value = model.compute_loss(bx, by, scores, None)
            optimizer.apply(tape.gradient(value, variables), variables)
            total += value
            right += tf.reduce_mean(tf.cast(tf.argmax(scores, -1) == by, tf.float32))
        return total / float(steps), right / float(steps)

    @tf.function
    def test(tx, ty):
        scores = model(tx, training=False)
        value = model.compute_loss(tx, ty, scores, None)
        return value, tf.reduce_mean(tf.cast(tf.argmax(scores, -1) == ty, tf.float32))

    rng = np.random.default_rng(seed)
    history: dict[str, list[float | None]] = {
        k: [] for k in ("loss", "accuracy", "val_loss", "val_accuracy", "true_val_loss")
    }
    for _ in range(run.epochs):
        order = rng.permutation(run.rows)[: steps * run.batch].reshape(steps, -1)
        told = [*epoch(tf.constant(order)), *test(*small), test(*large)[0]]
        for name, value in zip(history, told, strict=True):
            number = float(value)
            history[name].append(float(f"{number:.5g}") if np.isfinite(number) else None)
    return history
