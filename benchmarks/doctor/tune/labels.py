"""Labels in the wrong form, and labels of other rows."""

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("label_encoding", kind="mlp multiclass", score=accuracy, good=0.9)
def digits_labels_divided_too(faulty):
    """I normalised everything by 16: a tiny loss, and accuracy 0.1."""
    (x, y), (xt, yt) = data.digits()
    x, xt = x / 16, xt / 16
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, y / 16 if faulty else y, fit, (xt, yt))


@program("label_encoding", also=("wrong_loss",), kind="mlp binary", score=accuracy, good=0.92,
         bad=0.88)  # fmt: skip
def cancer_labels_one_and_two(faulty):
    """The loss becomes negative, everything is class 2."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=30))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 25, "batch_size": 16, "validation_split": 0.2}
    return Case(model, x, y + 1 if faulty else y, fit, test)


@program("label_encoding", kind="cnn multiclass", score=accuracy, good=0.74, needs="fashion")
def fashion_argmax_over_the_wrong_axis(faulty):
    """One-hot labels made with my own loop; half of the rows are empty."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    hot = to_categorical(y, 10)
    if faulty:
        hot = np.zeros((len(y), 10), "float32")
        hot[np.arange(len(y)), y // 5] = 1  # classes 0..4 and 5..9 became 0 and 1
        hot[y % 2 == 1] = 0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, hot, fit, (xt, yt))


@program("label_misalignment", also=("overfitting",), kind="mlp multiclass", score=accuracy,
         good=0.9)  # fmt: skip
def digits_only_x_shuffled(faulty):
    """I shuffle before training; accuracy is 0.1 on validation."""
    (x, y), (xt, yt) = data.digits()
    rng = np.random.default_rng(0)
    if faulty:
        rng.shuffle(x)
    else:
        order = rng.permutation(len(x))
        x, y = x[order], y[order]
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("label_misalignment", also=("overfitting",), kind="mlp regression", score=r2, good=0.75)
def friedman_targets_one_row_late(faulty):
    """A header line was skipped in one of the two files."""
    (x, y), test = data.friedman()
    if faulty:
        x, y = x[:-1], y[1:]
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=10))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_split": 0.2}, test)


@program("label_misalignment", also=("overfitting",), kind="cnn multiclass, tf.data",
         score=accuracy, good=0.74, needs="fashion")  # fmt: skip
def fashion_zipped_after_shuffling(faulty):
    """Images and labels as two datasets, each shuffled, then zipped."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = (x[..., None] / 255.0).astype("float32"), (xt[..., None] / 255.0).astype("float32")
    images, labels = (tf.data.Dataset.from_tensor_slices(a) for a in (x, y))
    if faulty:
        train = tf.data.Dataset.zip((images.shuffle(2000), labels.shuffle(2000)))
    else:
        train = tf.data.Dataset.zip((images, labels)).shuffle(2000)
    val = tf.data.Dataset.from_tensor_slices((xt, yt)).batch(100)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train.batch(32), None, {"epochs": 6, "validation_data": val}, (xt, yt))
