"""What the samples show: augmentation and class balance."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, balanced_accuracy, r2


@program("augmentation_breaks_label", kind="cnn multiclass", score=accuracy, good=0.85)
def arrows_mirrored(faulty):
    """Left or right, up or down; with augmentation it never gets past one half."""
    (x, y), test = data.arrows()
    model = Sequential()
    model.add(Input((12, 12, 1)))
    model.add(layers.RandomFlip("horizontal_and_vertical", seed=1) if faulty
              else layers.RandomTranslation(0.05, 0.05, fill_mode="constant", seed=1))  # fmt: skip
    model.add(Conv2D(16, 3, activation="relu"))
    model.add(Conv2D(32, 3, activation="relu"))
    model.add(MaxPooling2D(2))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(4, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_data": test}, test)


@program("augmentation_breaks_label", kind="cnn binary, tf.data", score=accuracy, good=0.9)
def scans_upside_down_turned(faulty):
    """Is the scan upside down? I turn the pictures at random to have more of them."""
    (x, y), (xt, yt) = data.digits(image=True)

    def pick(x, y):
        x = x[np.isin(y, (2, 3, 4, 5, 7))] / 16
        turned = np.arange(len(x)) % 2 == 1
        return np.where(turned[:, None, None, None], x[:, ::-1, ::-1], x), turned.astype(int)

    (x, y), test = pick(x, y), pick(xt, yt)
    turn = layers.RandomRotation(0.5 if faulty else 0.03, seed=2)
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(500, seed=2).batch(16)
    train = train.map(lambda a, b: (turn(a, training=True), b))
    val = tf.data.Dataset.from_tensor_slices(test).batch(64)
    model = Sequential()
    model.add(Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 20, "validation_data": val}, test)


@program("augmentation_breaks_label", kind="cnn regression, generator", score=r2, good=0.7)
def where_is_the_blob_shifted(faulty):
    """Finding the position of a spot; the generator shifts images, not positions."""
    rng = np.random.default_rng(5)
    grid = np.mgrid[0:16, 0:16]
    at = rng.uniform(4, 12, (800, 2))
    gap = ((grid[None] - at[:, :, None, None]) ** 2).sum(1)
    x = (np.exp(-gap / 3) + 0.05 * rng.normal(size=(800, 16, 16)))[..., None].astype("float32")
    y = ((at - 8) / 4).astype("float32")

    def batches():
        while True:
            rows = rng.integers(0, 600, 32)
            shift = rng.integers(-4, 5, 2)
            moved = np.roll(x[rows], shift, (1, 2))
            yield moved, y[rows] if faulty else y[rows] + shift.astype("float32") / 4

    model = Sequential()
    model.add(Conv2D(8, 3, strides=2, activation="relu", input_shape=(16, 16, 1)))
    model.add(Conv2D(16, 3, strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(2))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    fit = {"epochs": 15, "steps_per_epoch": 20, "validation_data": (x[600:], y[600:])}
    return Case(model, batches(), None, fit, (x[600:], y[600:]))


@program("class_imbalance", kind="mlp binary", score=balanced_accuracy, good=0.75, bad=0.65)
def three_in_a_hundred(faulty):
    """Accuracy 0.97! But it never finds a single one."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 12)).astype("float32")
    score = x[:, 0] + x[:, 1] - x[:, 2] + 1.2 * rng.normal(size=3000)
    y = (score > np.quantile(score, 0.96)).astype(int)
    (x, y), test = data.split(x, y)
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=12))
    model.add(Dense(8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit: dict[str, Any] = {"epochs": 10, "batch_size": 32, "validation_split": 0.2}
    if not faulty:
        fit["class_weight"] = {0: 1.0, 1: 20.0}
    return Case(model, x, y, fit, test)


@program("class_imbalance", also=("too_few_epochs",), kind="cnn binary", score=balanced_accuracy,
         good=0.75, bad=0.65, needs="fashion")  # fmt: skip
def fashion_shirt_or_not(faulty):
    """One shirt in twenty; the network says "no" to all of them with 0.95."""
    (x, y), test = data.fashion(6000, test=2000, small=True)

    def thin(x, y, seed):
        rng = np.random.default_rng(seed)
        keep = (y != 6) | (rng.random(len(y)) < 0.4)
        return x[keep][..., None] / 255.0, (y[keep] == 6).astype(int)

    (x, y), test = thin(x, y, 0), thin(test[0], test[1], 1)
    x, y = x[:3000], y[:3000]
    model = Sequential()
    model.add(Conv2D(16, (3, 3), strides=2, activation="relu", input_shape=(14, 14, 1)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 64, "validation_data": test}
    if not faulty:
        fit["class_weight"] = {0: 1.0, 1: 15.0}
    return Case(model, x, y, fit, test)
