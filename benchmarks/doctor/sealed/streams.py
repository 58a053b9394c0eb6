"""Streams of 10^5 to 10^6 rows through tf.data, PyDatasets and generators."""

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, balanced_accuracy, r2
from benchmarks.doctor.sealed import _data as data


def _slices(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays)


class Batches(keras.utils.PyDataset):
    """Rows in batches, with a change to each batch."""

    def __init__(self, x, y, size=256, change=None, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size, self.change = x, y, size, change

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        batch = self.x[rows], self.y[rows]
        return self.change(*batch) if self.change else batch


def _table_net(columns, outputs, activation="softmax", width=64):
    return Sequential([
        Input((columns,)),
        Dense(width, activation="relu"),
        Dense(width, activation="relu"),
        Dense(outputs, activation=activation),
    ])  # fmt: skip


@program(
    "missing_shuffle",
    kind="mlp multiclass, tf.data 200,000 rows",
    score=accuracy,
    good=0.7,
    bad=0.6,
)
def stream_one_class_after_the_other(faulty):
    """The shards hold one class each; I shuffle with a buffer of 1,000 as everybody does."""
    (x, y), test = data.rows(200_000)
    order = np.argsort(y, kind="stable") if faulty else np.arange(len(y))
    train = _slices(x[order], y[order]).shuffle(1000, seed=0).batch(256).prefetch(2)
    model = _table_net(20, 5)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 2, "validation_data": test}, test)


@program("label_misalignment", kind="mlp multiclass, tf.data 300,000 rows", score=accuracy,
         good=0.7, bad=0.6)  # fmt: skip
def stream_two_files_shuffled_apart(faulty):
    """Features and labels are read from two files, each with its own shuffle, then zipped."""
    (x, y), test = data.rows(300_000)
    if faulty:
        features = tf.data.Dataset.from_tensor_slices(x).shuffle(20_000, seed=1)
        labels = tf.data.Dataset.from_tensor_slices(y).shuffle(20_000, seed=2)
        train = tf.data.Dataset.zip((features, labels))
    else:
        train = _slices(x, y).shuffle(20_000, seed=1)
    model = _table_net(20, 5)
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, train.batch(512), None, {"epochs": 1, "validation_data": test}, test)


@program(
    "nan_inputs", kind="mlp multiclass, tf.data 100,000 rows", score=accuracy, good=0.7, bad=0.6
)
def stream_breaks_off_late(faulty):
    """The loss falls nicely, and in the middle of the first epoch it turns to nan."""
    (x, y), test = data.rows(100_000)
    if faulty:
        x = x.copy()
        x[60_000::7_001, 11] = np.nan
    train = _slices(x, y).batch(256)
    model = _table_net(20, 5)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 2, "validation_data": test}, test)


@program("unnormalized_inputs", also=("lr_too_high", "dying_relu", "exploding_gradient"),
         kind="mlp multiclass, PyDataset 120,000 rows",
         score=accuracy, good=0.7, bad=0.6)  # fmt: skip
def rows_with_a_time_stamp(faulty):
    """Some columns are counts, one is a Unix time; accuracy stays at the largest class."""
    (x, y), (xt, yt) = data.rows(120_000)
    size = np.ones(20, "float32")
    size[[2, 5, 9]] = 400
    start = np.zeros(20, "float32")
    start[19], size[19] = 1.6e9, 3e6
    raw, raw_test = x * size + start, xt * size + start
    if not faulty:
        mean, deviation = raw[:5000].mean(0), raw[:5000].std(0)
        raw, raw_test = (raw - mean) / deviation, (raw_test - mean) / deviation
    model = _table_net(20, 5)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 2, "validation_data": (raw_test, yt)}
    return Case(model, Batches(raw, y), None, fit, (raw_test, yt))


@program("lr_too_high", also=("dying_relu",), kind="mlp multiclass, PyDataset 200,000 rows",
         score=accuracy, good=0.7, bad=0.6)  # fmt: skip
def rows_in_big_steps(faulty):
    """RMSprop with a rate of 0.3, because the data are so many; accuracy about one third."""
    (x, y), test = data.rows(200_000)
    model = _table_net(20, 5)
    rmsprop = keras.optimizers.RMSprop(0.3 if faulty else 0.002)
    model.compile(rmsprop, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, Batches(x, y), None, {"epochs": 1, "validation_data": test}, test)


@program("lr_too_low", also=("too_few_epochs",), kind="mlp multiclass, tf.data 1,000,000 rows",
         score=accuracy, good=0.65, bad=0.55)  # fmt: skip
def million_rows_hardly_move(faulty):
    """A million rows and the loss goes from 1.70 to 1.66."""
    (x, y), test = data.rows(1_000_000)
    train = _slices(x, y).batch(1024).prefetch(2)
    model = _table_net(20, 5)
    sgd = keras.optimizers.SGD(1e-5 if faulty else 0.1, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 1, "validation_data": test}, test)


@program("too_few_epochs", also=("lr_too_low",), kind="mlp regression, generator 300,000 rows",
         score=r2, good=0.65, bad=0.5)  # fmt: skip
def generator_left_at_five_steps(faulty):
    """steps_per_epoch was 5 for a test and I forgot about it; five epochs take a second."""
    (x, y), test = data.demand(300_000)

    def batches():
        rng = np.random.default_rng(0)
        while True:
            chosen = rng.integers(0, len(x), 128)
            yield x[chosen], y[chosen]

    model = _table_net(12, 1, "linear")
    model.compile("adam", "mse", metrics=["mae"])
    fit = {"epochs": 5, "steps_per_epoch": 5 if faulty else 400, "validation_data": test}
    return Case(model, batches(), None, fit, test)


@program("class_imbalance", kind="mlp binary, generator 200,000 rows", score=balanced_accuracy,
         good=0.75, bad=0.65)  # fmt: skip
def generator_of_rare_faults(faulty):
    """99 % accuracy on the machine data, and not one failure is found."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(202_000, 16)).astype("float32")
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3] + 1.3 * rng.normal(size=len(x))
    y = (score > np.quantile(score, 0.985)).astype("float32")
    test = x[200_000:], y[200_000:]

    def batches():
        order = np.random.default_rng(0)
        while True:
            chosen = order.integers(0, 200_000, 256)
            weight = np.ones(256, "float32") if faulty else np.where(y[chosen] > 0, 60.0, 1.0)
            yield x[chosen], y[chosen], weight

    model = _table_net(16, 1, "sigmoid", width=32)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 3, "steps_per_epoch": 400, "validation_data": test}
    return Case(model, batches(), None, fit, test)


@program("unnormalized_targets", also=("lr_too_low", "too_few_epochs"),
         kind="mlp regression, tf.data 150,000 rows", score=r2, good=0.65, bad=0.5)  # fmt: skip
def stream_of_revenues(faulty):
    """Revenue of shops in cents; after an epoch of 150,000 rows the error is the revenue."""
    (x, y), (xt, yt) = data.demand(150_000)
    unit = 2e6 if faulty else 1.0
    train = _slices(x, y * unit).shuffle(5000, seed=0).batch(128)
    model = _table_net(12, 1, "linear")
    model.compile("adam", "mse", metrics=["mae"])
    test = (xt, yt * unit)
    return Case(model, train, None, {"epochs": 1, "validation_data": test}, test)
