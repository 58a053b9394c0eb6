"""The pictures of the lessons, the network that most of them train, and its training."""

from __future__ import annotations

import gzip
import math
import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kcnn
from kcnn.data import Dataset, channel_stats, from_arrays, load

__all__ = ["accuracy", "fashion", "network", "outputs", "standardized", "step_seconds", "train"]

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "fashion-mnist"
SIDE = 28


@cache
def _idx(part: str, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    folder = Path(os.environ.get("KCNN_MANUAL_DIR") or BESIDE)
    if not (folder / f"{part}-images-idx3-ubyte.gz").is_file():
        return None
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(16 + SIDE * SIDE * count), np.uint8, offset=16)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    return x.reshape(-1, SIDE, SIDE, 1), y.astype(np.int64)


@cache
def fashion(train: int, test: int = 2000, *, side: int = 14) -> Dataset:
    """Fashion-MNIST: the first images of both parts, made smaller by averaging.

    Where its files are not at hand (KCNN_MANUAL_DIR), the embedded digits.
    """
    parts = _idx("train", train), _idx("t10k", test)
    if parts[0] is None or parts[1] is None:
        return load("digits")
    (x, y), (x_test, y_test) = (
        (x.reshape(-1, side, SIDE // side, side, SIDE // side, 1).mean((2, 4)), y) for x, y in parts
    )
    return from_arrays(
        x.astype(np.float32),
        y,
        x_test=x_test.astype(np.float32),
        y_test=y_test,
        name="Fashion-MNIST",
        val_fraction=0.1,
    )


def standardized(data: Dataset) -> keras.layers.Layer:
    """The layer that takes 0..255 to mean 0 and deviation 1 in each channel."""
    return data.preprocessing.normalized(channel_stats(data.train)).layer()


def network(
    data: Dataset,
    *,
    norm: str = "batch",
    filters: Sequence[int] = (16, 32, 32),
    flatten: bool = False,
    dropout: float = 0.0,
    activation: str = "relu",
    preprocess: keras.layers.Layer | None = None,
) -> keras.Model:
    """A small network of kcnn's layers: images (b, h, w, c) of 0..255 to logits (b, classes)."""
    images = keras.Input(data.image_shape)
    x = (preprocess or standardized(data))(images)
    for i, channels in enumerate(filters):
        strides = 2 if i == 1 else 1
        x = kcnn.layers.ConvNormAct(channels, strides=strides, norm=norm, activation=activation)(x)
    pool = keras.layers.Flatten() if flatten else keras.layers.GlobalAveragePooling2D()
    x = pool(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(images, keras.layers.Dense(data.classes)(x))


def train(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    rate: float,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    decay: bool = False,
) -> dict[str, list[float]]:
    """SGD with momentum on the cross-entropy of logits; the history of `fit`.

    decay: let the rate fall to zero along a cosine, so that the last updates matter less.
    """
    keras.utils.set_random_seed(seed)
    updates = epochs * math.ceil(len(x) / batch_size)
    falling = keras.optimizers.schedules.CosineDecay(rate, updates)
    model.compile(
        keras.optimizers.SGD(falling if decay else rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,  # compiling takes longer than such a training
    )
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0).history


def step_seconds(
    models: dict[str, keras.Model], x: Any, y: Any, *, rounds: int, steps: int = 10
) -> dict[str, np.ndarray]:
    """Seconds of so many training steps of each model, measured in turn, by round."""
    for model in models.values():
        train(model, x, y, rate=0.02, epochs=1)
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            began = time.perf_counter()
            for _ in range(steps):
                model.train_on_batch(x, y)
            taken[name].append(time.perf_counter() - began)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def outputs(model: keras.Model, x: Any) -> np.ndarray:
    """What the model says of each image at inference."""
    parts = np.array_split(np.asarray(x, np.float32), max(1, len(x) // 500))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


def accuracy(model: keras.Model, x: Any, y: Any) -> float:
    """In percent."""
    return 100.0 * float(np.mean(outputs(model, x).argmax(-1) == y))
