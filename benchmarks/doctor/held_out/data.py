"""What the samples show: augmentation, class balance, labels."""

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


@program("augmentation_breaks_label", kind="cnn multiclass, tf.data", score=accuracy, good=0.85)
def arrows_turned_by_quarters(faulty):
    """tf.image.rot90 a random number of times, because more data is better."""
    (x, y), test = data.arrows()

    def change(image, label):
        if faulty:
            turns = tf.random.uniform([], 0, 4, tf.int32, seed=1)
            return tf.image.rot90(image, turns), label
        return tf.image.random_brightness(image, 0.1, seed=1), label

    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1000, seed=1).map(change)
    val = tf.data.Dataset.from_tensor_slices(test).batch(100)
    model = Sequential([
        Input((12, 12, 1)),
        Conv2D(16, 3, activation="relu"),
        MaxPooling2D(2),
        Conv2D(32, 3, activation="relu"),
        Flatten(),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train.batch(32), None, {"epochs": 15, "validation_data": val}, test)


@program("augmentation_breaks_label", kind="conv1d regression, generator", score=r2, good=0.8,
         bad=0.3)  # fmt: skip
def waves_sign_flipped(faulty):
    """My generator turns half of the series upside down, but not the next value."""
    (x, y), test = data.waves()
    rng = np.random.default_rng(8)

    def batches():
        while True:
            rows = rng.integers(0, len(x), 32)
            sign = rng.choice([-1.0, 1.0], (32, 1)).astype("float32")
            yield x[rows] * sign[:, None], y[rows] * (1 if faulty else sign)

    model = Sequential()
    model.add(layers.Conv1D(16, 5, activation="relu", input_shape=(32, 1)))
    model.add(layers.Conv1D(16, 5, strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    fit = {"epochs": 12, "steps_per_epoch": 20, "validation_data": test}
    return Case(model, batches(), None, fit, test)


@program("class_imbalance", kind="cnn multiclass", score=balanced_accuracy, good=0.6, bad=0.5,
         needs="fashion")  # fmt: skip
def fashion_mostly_shirts(faulty):
    """T-shirt, pullover, coat, shirt: the last is 85 % of the files."""
    (x, y), test = data.fashion(3200, test=800, classes=(0, 2, 4, 6), small=True)
    rng = np.random.default_rng(9)
    keep = (y == 3) | (rng.random(len(y)) < 0.06)
    x, y = x[keep][..., None] / 255.0, y[keep]
    test = (test[0][..., None] / 255.0, test[1])
    counts = np.bincount(y, minlength=4)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), strides=2, activation="relu", input_shape=(14, 14, 1)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(4, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit: dict[str, Any] = {"epochs": 14, "batch_size": 32, "validation_split": 0.2}
    if not faulty:
        fit["class_weight"] = {k: len(y) / (4 * max(1, n)) for k, n in enumerate(counts)}
    return Case(model, x, y, fit, test)


@program("class_imbalance", kind="mlp binary", score=balanced_accuracy, good=0.72, bad=0.62)
def rare_failures_of_a_machine(faulty):
    """Two failures in a hundred hours; precision and recall are both 0."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(4000, 8)).astype("float32")
    risk = np.abs(x[:, 0]) + x[:, 1] + 1.2 * rng.normal(size=4000)
    y = (risk > np.quantile(risk, 0.97)).astype("float32")
    (x, y), test = data.split(x, y)
    inputs = Input((8,))
    h = Dense(24, activation="relu")(inputs)
    model = keras.Model(inputs, Dense(1, activation="sigmoid")(h))
    metrics = [keras.metrics.BinaryAccuracy(name="acc"), keras.metrics.Recall(name="recall")]
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=metrics)
    fit = {"epochs": 10, "batch_size": 64, "validation_data": test}
    if not faulty:
        fit["sample_weight"] = np.where(y > 0, 25.0, 1.0).astype("float32")
    return Case(model, x, y, fit, test)


@program("label_encoding", kind="mlp multiclass", score=accuracy, good=0.92)
def wine_minmax_on_everything(faulty):
    """MinMaxScaler over the whole table, the class column too: 0, 0.5, 1."""
    (x, y), (xt, yt) = data.wine()
    labels = y / y.max() if faulty else y
    model = Sequential()
    model.add(Dense(24, activation="relu", input_dim=13))
    model.add(Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, labels, {"epochs": 30, "batch_size": 8, "validation_split": 0.2},
                (xt, yt))  # fmt: skip


@program("label_encoding", also=("wrong_loss",), kind="cnn binary", score=accuracy, good=0.92,
         needs="fashion")  # fmt: skip
def fashion_labels_one_and_two(faulty):
    """Classes 1 and 2 as in the CSV file; the loss falls below zero."""
    (x, y), (xt, yt) = data.fashion(600, test=400, classes=(0, 1), small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(8, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 16, "validation_split": 0.2}
    return Case(model, x, y + 1 if faulty else y, fit, (xt, yt))


@program("label_misalignment", also=("overfitting",), kind="mlp multiclass", score=accuracy,
         good=0.92)  # fmt: skip
def wine_labels_sorted(faulty):
    """y.sort() to look at the class counts; the rows of x stayed where they were."""
    (x, y), test = data.wine()
    if faulty:
        y = np.sort(y)
    model = Sequential()
    model.add(Dense(24, activation="relu", input_dim=13))
    model.add(Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 25, "batch_size": 8, "validation_data": test}, test)


@program("label_misalignment", also=("overfitting",), kind="cnn multiclass, generator",
         score=accuracy, good=0.85)  # fmt: skip
def digits_generator_draws_twice(faulty):
    """The generator draws its indices once for images and once for labels."""
    (x, y), (xt, yt) = data.digits(image=True)
    rng = np.random.default_rng(11)

    def batches():
        while True:
            rows = rng.integers(0, len(x), 32)
            yield x[rows] / 16, y[rng.integers(0, len(y), 32) if faulty else rows]

    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(8, 8, 1)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 10, "steps_per_epoch": 40, "validation_data": (xt / 16, yt)}
    return Case(model, batches(), None, fit, (xt / 16, yt))
