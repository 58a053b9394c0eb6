"""The training tasks of the learning-rate benchmark: small, varied, seconds per training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from benchmarks._lr_data import clusters, digits, fashion, spirals, textures, waves
from kcnn.layers import norm

__all__ = ["TASKS", "Task"]

L = keras.layers


@dataclasses.dataclass(frozen=True)
class Task:
    """One model, data set, optimizer and batch size.

    `tune` tells which part it is in, `whole` whether everything is measured on it: trainings
    four times as long, and all methods from three starts.
    """

    name: str
    tune: bool
    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    body: Callable[[tuple[int, ...]], keras.Model]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    batch_size: int
    steps: int
    loss: str = "softmax"
    whole: bool = True

    def model(self, seed: int) -> keras.Model:
        """A freshly initialized, compiled model."""
        keras.utils.set_random_seed(seed)
        model = self.body(self.data()[0].shape[1:])
        loss = {
            "softmax": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "mse": keras.losses.MeanSquaredError(),
        }[self.loss]
        model.compile(self.optimizer(), loss)
        return model


# --- models -------------------------------------------------------------------------------


def mlp(
    *widths: int,
    outputs: int = 10,
    activation: str = "relu",
    kind: str = "none",
    start: str = "glorot_uniform",
):
    def build(shape):
        inputs = keras.Input(shape)
        h = L.Flatten()(inputs) if len(shape) > 1 else inputs
        for width in widths:
            h = L.Dense(width, kernel_initializer=start)(h)
            h = L.LayerNormalization()(h) if kind == "layer" else h
            h = L.BatchNormalization()(h) if kind == "batch" else h
            h = L.Activation(activation)(h)
        return keras.Model(inputs, L.Dense(outputs)(h))

    return build


def cnn(
    *widths: int,
    outputs: int = 10,
    activation: str = "relu",
    kind: str = "none",
    dropout: float = 0.0,
    start: str = "glorot_uniform",
):
    def build(shape):
        inputs = h = keras.Input(shape)
        conv = {"padding": "same", "use_bias": kind == "none", "kernel_initializer": start}
        for i, width in enumerate(widths):
            h = L.Conv2D(width, 3, strides=1 + i % 2, **conv)(h)
            h = norm(kind, channels=width)(h) if kind != "none" else h
            h = L.Activation(activation)(h)
        h = L.GlobalAveragePooling2D()(h)
        h = L.Dropout(dropout)(h) if dropout else h
        return keras.Model(inputs, L.Dense(outputs)(h))

    return build


def resnet(width: float, kind: str):
    def build(shape):
        import kcnn

        return kcnn.create_model("resnet20", classes=10, input_shape=shape, width=width, norm=kind)

    return build


# --- optimizers ---------------------------------------------------------------------------


def sgd():
    return keras.optimizers.SGD(0.01, momentum=0.9)


def plain_sgd():
    return keras.optimizers.SGD(0.01)


def adam():
    return keras.optimizers.Adam(1e-3)


def adamw():
    return keras.optimizers.AdamW(1e-3, weight_decay=0.01)


TASKS = (
    Task("digits-mlp-sgd-32", True, digits, mlp(64, 32), sgd, 32, 192),
    Task("digits-mlp-adam-64", True, digits, mlp(128, 128, 128), adam, 64, 144),
    Task("digits-cnn-batch-sgd-64", True, digits, cnn(16, 32, kind="batch"), sgd, 64, 96),
    Task("digits-cnn-group-adamw-32", True, digits, cnn(16, 32, kind="group"), adamw, 32, 128),
    Task("digits-cnn-none-sgd-16", True, digits, cnn(16, 32), sgd, 16, 256),
    Task("digits-cnn-none-plainsgd-64", True, digits, cnn(16, 32), plain_sgd, 64, 192),
    Task("digits-resnet20-batch-sgd-64", True, digits, resnet(0.25, "batch"), sgd, 64, 72),
    Task("digits-resnet20-group-adam-32", True, digits, resnet(0.25, "group"), adam, 32, 72),
    Task("fashion-cnn-batch-adam-64", True, fashion, cnn(16, 32, kind="batch"), adam, 64, 96),
    Task("fashion-mlp-layer-adamw-256", True, fashion, mlp(128, 64, kind="layer"), adamw, 256, 128),
    Task("fashion-cnn-instance-sgd-32", True, fashion, cnn(16, 32, kind="instance"), sgd, 32, 128),
    Task("fashion-mlp-none-adam-512", True, fashion, mlp(256, 64), adam, 512, 72),
    Task("fashion-deepcnn-none-adam-64", True, fashion, cnn(16, 16, 32, 32, 32), adam, 64, 96),
    Task("fashion-logistic-sgd-128", True, fashion, mlp(), sgd, 128, 160),
    Task("fashion-cnn-layer-sgd-128", True, fashion, cnn(16, 32, kind="layer"), sgd, 128, 72),
    Task(
        "waves-mlp-tanh-adam-64",
        True,
        waves,
        mlp(64, 64, outputs=1, activation="tanh"),
        adam,
        64,
        256,
        "mse",
    ),
    Task("waves-mlp-relu-sgd-128", True, waves, mlp(64, 64, outputs=1), sgd, 128, 192, "mse"),
    Task("clusters-mlp-sgd-256", True, clusters, mlp(128, outputs=20), sgd, 256, 128),
    Task(
        "clusters-mlp-adamw-16", True, clusters, mlp(64, outputs=20, kind="layer"), adamw, 16, 320
    ),
    Task("spirals-mlp-sgd-16", True, spirals, mlp(64, 64, 64, outputs=3), sgd, 16, 384),
    Task("spirals-mlp-adam-128", True, spirals, mlp(64, 64, outputs=3), adam, 128, 192),
    Task("rawdigits-mlp-adam-64", True, lambda: digits("raw"), mlp(64, 32), adam, 64, 144),
    Task("rawdigits-cnn-sgd-64", True, lambda: digits("raw"), cnn(16, 32), sgd, 64, 144),
    Task(
        "textures-cnn-layer-adamw-128",
        True,
        textures,
        cnn(16, 32, outputs=6, kind="layer"),
        adamw,
        128,
        128,
    ),
    Task("fashion-cnn-none-sgd-16", True, fashion, cnn(16, 32), sgd, 16, 256),
    Task("textures-cnn-none-sgd-32", True, textures, cnn(16, 32, outputs=6), sgd, 32, 192),
    Task("digits-deepcnn-none-sgd-32", True, digits, cnn(16, 16, 32), sgd, 32, 192),
    Task("digits-cnn-none-adam-16", True, digits, cnn(16, 32), adam, 16, 192),
    Task("digits-mlp-batch-sgd-128", True, digits, mlp(64, 64, kind="batch"), sgd, 128, 96),
    Task("fashion-cnn-batch-sgd-16", True, fashion, cnn(16, 32, kind="batch"), sgd, 16, 192),
    Task("clusters-mlp-adam-32", True, clusters, mlp(64, 64, outputs=20), adam, 32, 192),
    Task("waves-mlp-adamw-32", True, waves, mlp(64, 64, outputs=1), adamw, 32, 192, "mse"),
    Task(
        "spirals-mlp-tanh-adam-16",
        True,
        spirals,
        mlp(64, 64, outputs=3, activation="tanh"),
        adam,
        16,
        256,
    ),
    Task("digits-cnn-group-sgd-128", True, digits, cnn(16, 32, kind="group"), sgd, 128, 72),
    Task("fashion-mlp-sgd-64", True, fashion, mlp(128, 64), sgd, 64, 160),
    Task("clusters-mlp-plainsgd-64", True, clusters, mlp(64, 64, outputs=20), plain_sgd, 64, 192),
    Task("digits-mlp-tanh-sgd-16", True, digits, mlp(64, 64, activation="tanh"), sgd, 16, 256),
    Task(
        "waves-mlp-tanh-adamw-256",
        True,
        waves,
        mlp(64, 64, outputs=1, activation="tanh"),
        adamw,
        256,
        160,
        "mse",
    ),
    Task(
        "spirals-mlp-layer-adamw-64",
        True,
        spirals,
        mlp(64, 64, outputs=3, kind="layer"),
        adamw,
        64,
        192,
    ),
    Task("digits-cnn-instance-adam-64", True, digits, cnn(16, 32, kind="instance"), adam, 64, 96),
    Task(
        "textures-cnn-batch-sgd-64",
        True,
        textures,
        cnn(16, 32, outputs=6, kind="batch"),
        sgd,
        64,
        96,
    ),
    Task("fashion-cnn-group-adam-32", True, fashion, cnn(16, 32, kind="group"), adam, 32, 128),
    Task("digits-resnet20-layer-adamw-64", True, digits, resnet(0.25, "layer"), adamw, 64, 72),
    Task("digits-resnet20-batch-adam-64", True, digits, resnet(0.25, "batch"), adam, 64, 72),
    Task("fashion-cnn-batch-sgd-128", True, fashion, cnn(16, 32, kind="batch"), sgd, 128, 72),
    Task("fashion-mlp-tanh-adam-32", True, fashion, mlp(128, activation="tanh"), adam, 32, 160),
    Task("digits-cnn-layer-adam-32", True, digits, cnn(16, 32, kind="layer"), adam, 32, 96),
    Task("fashion-cnn-none-adamw-128", True, fashion, cnn(16, 32), adamw, 128, 72),
    Task(
        "clusters-mlp-batch-sgd-32",
        True,
        clusters,
        mlp(64, outputs=20, kind="batch"),
        sgd,
        32,
        192,
    ),
    Task("spirals-mlp-sgd-64", True, spirals, mlp(64, 64, outputs=3), sgd, 64, 256),
    Task("waves-mlp-sgd-16", True, waves, mlp(64, outputs=1), sgd, 16, 256, "mse"),
    Task(
        "textures-cnn-group-sgd-32",
        True,
        textures,
        cnn(16, 32, outputs=6, kind="group"),
        sgd,
        32,
        96,
    ),
    Task("digits-logistic-adam-128", True, digits, mlp(), adam, 128, 96),
    Task("rawdigits-mlp-sgd-32", True, lambda: digits("raw"), mlp(64, 32), sgd, 32, 192),
    Task("digits-deepcnn-none-adamw-64", True, digits, cnn(16, 16, 32), adamw, 64, 144),
    Task("fashion-mlp-batch-adam-512", True, fashion, mlp(128, kind="batch"), adam, 512, 72),
)
