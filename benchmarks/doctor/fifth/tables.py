"""Rents and visits: embeddings of categories, streams, layers and steps of one's own."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Dense, Embedding, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2
from benchmarks.doctor.fifth import _data as data


def appraiser(width=32):
    """Embeddings of district and kind beside the columns, two hidden layers."""
    district = Input((), name="district", dtype="int32")
    kind, columns = Input((), name="kind", dtype="int32"), Input((5,), name="columns")
    h = layers.concatenate([Embedding(30, 4)(district), Embedding(6, 2)(kind), columns])
    h = Dense(width, activation="relu")(Dense(width, activation="relu")(h))
    return keras.Model({"district": district, "kind": kind, "columns": columns}, Dense(1)(h))


def logarithm(euros):
    return np.log(euros) - 9.2


@program("unnormalized_targets", kind="mlp with embeddings, Huber loss", score=r2, good=0.85,
         bad=0.7)  # fmt: skip
def rents_in_euros_under_huber(faulty):
    """Heavy tails, so Huber; the rents are euros a year, and it explains six tenths, not nine."""
    (x, euros), (xt, eurost) = data.rents(6000)
    y, yt = (euros, eurost) if faulty else (logarithm(euros), logarithm(eurost))
    model = appraiser()
    model.compile(keras.optimizers.Adam(0.002), keras.losses.Huber(), metrics=["mae"])
    fit = {"epochs": 15, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("nan_inputs", kind="mlp with embeddings, sample weights", score=r2, good=0.6, bad=0.1)
def weights_by_one_over_views(faulty):
    """sample_weight = 1 / views; some flats were never looked at, and the loss is nan."""
    (x, euros), (xt, eurost) = data.rents(6000, seed=81)
    y, yt = logarithm(euros), logarithm(eurost)
    views = np.random.default_rng(81).poisson(5, len(y)).astype("float32")
    with np.errstate(divide="ignore"):
        weight = 1 / views if faulty else 1 / (views + 1)
    model = appraiser()
    model.compile(keras.optimizers.AdamW(0.003), "mse")
    fit = {"epochs": 12, "batch_size": 64, "validation_data": (xt, yt), "sample_weight": weight}
    return Case(model, x, y, fit, (xt, yt))


@program("bad_batch_size", also=("too_few_epochs", "lr_too_low"), kind="mlp, stream of 100,000",
         score=accuracy, good=0.8, bad=0.65)  # fmt: skip
def batches_that_fill_the_machine(faulty):
    """batch(16384) so that the accelerator is busy: seven steps an epoch, four epochs."""
    (x, y), test = data.visits()
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(20_000, seed=0)
    train = train.batch(16_384 if faulty else 256).prefetch(2)
    inputs = Input((16,))
    h = Dense(64, activation="relu")(Dense(64, activation="relu")(inputs))
    model = keras.Model(inputs, Dense(4, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, train, None, {"epochs": 4, "validation_data": test}, test)


class Gated(layers.Layer):
    """relu(x A) times sigmoid(x B), the two matrices its own."""

    def __init__(self, units, start, **kwargs):
        super().__init__(**kwargs)
        self.units, self.start = units, start

    def build(self, shape):
        size = shape[-1], self.units
        self.a = self.add_weight(shape=size, initializer=self.start, name="a")
        self.b = self.add_weight(shape=size, initializer=self.start, name="b")

    def call(self, x):
        return keras.ops.relu(x @ self.a) * keras.ops.sigmoid(x @ self.b)


@program("bad_initialization", kind="mlp of own layers, PyDataset", score=accuracy, good=0.75,
         bad=0.45)  # fmt: skip
def own_layer_that_starts_at_zero(faulty):
    """add_weight(initializer="zeros") for matrices, copied from the bias of the guide."""

    class Rows(keras.utils.PyDataset):
        def __init__(self, x, y):
            super().__init__()
            self.x, self.y = x, y

        def __len__(self):
            return len(self.x) // 128

        def __getitem__(self, at):
            part = slice(128 * at, 128 * at + 128)
            return self.x[part], self.y[part]

    (x, y), test = data.visits(40_000, seed=82)
    start = "zeros" if faulty else "he_normal"
    inputs = Input((16,))
    h = Gated(48, start)(Gated(64, start)(inputs))
    model = keras.Model(inputs, Dense(4, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, Rows(x, y), None, {"epochs": 5, "validation_data": test}, test)
