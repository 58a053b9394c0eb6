"""Pulses, rows of pictures and phrases: recurrent, convolutional and attention networks."""

import keras
from keras import layers
from keras.layers import Dense, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy
from benchmarks.doctor.fifth import _data as data

SPARSE = "sparse_categorical_crossentropy"


@program("exploding_gradient", "bad_initialization", also=("lr_too_high",),
         kind="recurrent, rows of pictures", score=accuracy, good=0.65, bad=0.4)  # fmt: skip
def normal_weights_of_old(faulty):
    """random_normal had a deviation of 1.0 in the old release, so I wrote it down."""
    (x, y), test = data.garments(3000, size=28, seed=75)
    start = keras.initializers.RandomNormal(stddev=1.0, seed=2) if faulty else "orthogonal"
    model = Sequential([
        Input((28, 28, 1)),
        layers.Reshape((28, 28)),
        layers.SimpleRNN(48, activation="relu", recurrent_initializer=start),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.001), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("insufficient_capacity", kind="LSTM, pulses", score=accuracy, good=0.85, bad=0.7)
def one_unit_for_one_series(faulty):
    """LSTM(1): I have one series, so one unit."""
    (x, y), test = data.pulses(2500, seed=76)
    model = Sequential([
        Input((48, 1)),
        layers.LSTM(1 if faulty else 24),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.005), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 64, "validation_data": test}
    return Case(model, x, y, fit, test)
