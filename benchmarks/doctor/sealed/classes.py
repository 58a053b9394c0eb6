"""120 classes, with gaps between their ids, and many labels at once."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, multilabel_f1, rounded_accuracy
from benchmarks.doctor.sealed import _data as data


def _net(outputs, activation="softmax", **last):
    return Sequential([
        Input((14, 14, 3)),
        layers.Rescaling(1 / 127.5, offset=-1),
        Conv2D(24, 3, strides=2, activation="relu"),
        Conv2D(48, 3, activation="relu"),
        Flatten(),
        Dense(96, activation="relu"),
        Dense(outputs, activation=activation, **last),
    ])  # fmt: skip


@program("wrong_loss", also=("lr_too_low", "vanishing_gradient"), kind="cnn, 120 classes",
         score=accuracy, good=0.4, bad=0.25, needs="fashion")  # fmt: skip
def colours_with_squared_error(faulty):
    """One-hot over 120 classes; the loss is 0.0082, which is excellent, accuracy is not."""
    (x, y), (xt, yt) = data.hued()
    model = _net(120)
    loss = "mean_squared_error" if faulty else "categorical_crossentropy"
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    hot = keras.utils.to_categorical
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, hot(yt, 120))}
    return Case(model, x, hot(y, 120), fit, (xt, yt))


@program("wrong_loss", "wrong_output_units", also=("wrong_output_activation", "wrong_metric",
         "unnormalized_targets"), kind="cnn, 120 classes, ids with gaps", score=rounded_accuracy,
         good=0.3, needs="fashion")  # fmt: skip
def article_number_as_a_number(faulty):
    """The network shall say the article number, 0..999; it is off by hundreds."""
    (x, y), (xt, yt) = data.hued()
    both = data.gaps(np.concatenate([y, yt]))
    ids, idt = both[: len(y)], both[len(y) :]
    if faulty:
        model = _net(1, "linear")
        model.compile(keras.optimizers.Adam(0.001), "mse", metrics=["accuracy"])
    else:
        model = _net(1000)
        model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, idt)}
    return Case(model, x, ids, fit, (xt, idt))


@program("label_encoding", kind="cnn, 120 classes, tf.data", score=accuracy, good=0.4,
         needs="fashion")  # fmt: skip
def ids_between_zero_and_one(faulty):
    """I scaled the pictures and, with them, the ids; loss 0.000 and not one is right."""
    (x, y), (xt, yt) = data.hued()
    both = data.gaps(np.concatenate([y, yt]))
    ids, idt = both[: len(y)], both[len(y) :]
    scaled = ids / 999 if faulty else ids
    train = tf.data.Dataset.from_tensor_slices((x, scaled)).shuffle(6000, seed=0).batch(32)
    model = _net(1000)
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, train, None, {"epochs": 8}, (xt, idt))


@program("loss_activation_mismatch", kind="cnn, 120 classes", score=accuracy, good=0.4, bad=0.25,
         needs="fashion")  # fmt: skip
def colours_scores_for_probabilities(faulty):
    """The last layer is linear; the loss stands at 4 and something, or jumps."""
    (x, y), (xt, yt) = data.hued()
    model = _net(120, "linear")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not faulty)
    model.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("wrong_output_activation", also=("wrong_loss",), kind="cnn, 22 labels at once",
         score=multilabel_f1, good=0.75, bad=0.6, needs="fashion")  # fmt: skip
def tags_that_exclude_each_other(faulty):
    """Each picture has several tags of 22; with softmax it finds one at most."""
    (x, y), (xt, yt) = data.hued()

    def tags(y):
        kind, hue = np.divmod(y, 12)
        warm = (hue[:, None] + np.arange(3)) % 12
        out = np.eye(10)[kind].tolist()
        colours = np.zeros((len(y), 12))
        colours[np.arange(len(y))[:, None], warm] = 1
        return np.concatenate([out, colours], 1).astype("float32")

    model = _net(22, "softmax" if faulty else "sigmoid")
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy",
                  metrics=["binary_accuracy"])  # fmt: skip
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, tags(yt))}
    return Case(model, x, tags(y), fit, (xt, tags(yt)))
