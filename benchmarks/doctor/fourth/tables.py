"""Orders: several outputs, streams, models that train in a way of their own."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras.layers import Dense, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, multilabel_f1, r2
from benchmarks.doctor.fourth import _data as data
from benchmarks.doctor.sealed import _data as older
from benchmarks.doctor.sealed._score import head


def trunk(inputs, width=64):
    return Dense(width, activation="relu")(Dense(width, activation="relu")(inputs))


@program("unnormalized_targets", also=("exploding_gradient",), kind="mlp, two outputs",
         score=head("delay", r2), good=0.6, bad=0.45)  # fmt: skip
def euros_beside_days(faulty):
    """Sum and delay of an order; the delay is no better than its mean."""
    (x, euros, delay, _), (xt, eurost, delayt, _) = data.orders(4000)
    if not faulty:
        mean, deviation = euros.mean(), euros.std()
        euros, eurost = (euros - mean) / deviation, (eurost - mean) / deviation
    inputs = Input((10,))
    h = trunk(inputs)
    model = keras.Model(
        inputs, {"euros": Dense(1, name="euros")(h), "delay": Dense(1, name="delay")(h)}
    )
    model.compile(keras.optimizers.Adam(0.003), {"euros": "mse", "delay": "mse"})
    test = xt, {"euros": eurost, "delay": delayt}
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    return Case(model, x, {"euros": euros, "delay": delay}, fit, test)


@program("wrong_output_activation", kind="mlp, two outputs", score=head("tags", multilabel_f1),
         good=0.7, bad=0.65)  # fmt: skip
def tags_that_share_one_softmax(faulty):
    """Three tags, none, one or all of them; beside them the delay."""
    (x, _, delay, tags), (xt, _, delayt, tagst) = data.orders(4000)
    inputs = Input((10,))
    h = trunk(inputs)
    last = "softmax" if faulty else "sigmoid"
    outputs = {
        "tags": Dense(3, activation=last, name="tags")(h),
        "delay": Dense(1, name="delay")(h),
    }
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.003), {"tags": "binary_crossentropy", "delay": "mse"})
    test = xt, {"tags": tagst, "delay": delayt}
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, {"tags": tags, "delay": delay}, fit, test)


@program("nan_inputs", kind="mlp regression, dictionary of columns, tf.data", score=r2, good=0.5,
         bad=0.2)  # fmt: skip
def logarithm_of_empty_stock(faulty):
    """log(stock) as a column; some shelves are empty, and the loss is nan at some step."""
    (x, _, delay, _), (xt, _, delayt, _) = data.orders(4000)
    stock = np.maximum(np.random.default_rng(1).poisson(6, len(x)), 0)
    with np.errstate(divide="ignore"):
        column = (np.log(stock) if faulty else np.log1p(stock)).astype("float32")[:, None]
    ins = {"columns": x, "stock": column}
    test = {"columns": xt, "stock": np.ones((len(xt), 1), "float32")}, delayt
    train = tf.data.Dataset.from_tensor_slices((ins, delay)).shuffle(4000, seed=0).batch(32)
    columns, shelf = Input((10,), name="columns"), Input((1,), name="stock")
    h = trunk(layers.concatenate([columns, shelf]))
    model = keras.Model({"columns": columns, "stock": shelf}, Dense(1)(h))
    model.compile(keras.optimizers.Adam(0.003), "mse", metrics=["mae"])
    return Case(model, train, None, {"epochs": 8, "validation_data": test}, test)


@program("lr_too_high", also=("dying_relu", "exploding_gradient"),
         kind="mlp multiclass, own train_step, stream", score=accuracy, good=0.65,
         bad=0.5)  # fmt: skip
def own_step_in_giant_strides(faulty):
    """My train_step is the guide's, Adam(0.3) is mine; 120,000 rows, one class in five."""

    class Trainer(keras.Model):
        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return self.compute_metrics(x, y, y_pred)

    (x, y), test = older.rows(120_000)
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(20_000, seed=0).batch(256)
    inputs = Input((20,))
    model = Trainer(inputs, Dense(5, activation="softmax")(trunk(inputs)))
    adam = keras.optimizers.Adam(0.3 if faulty else 0.003)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 2, "validation_data": test}, test)


@program("frozen_layers", kind="mlp regression, subclassed, PyDataset", score=r2, good=0.6, bad=0.5)
def encoder_kept_from_the_tape(faulty):
    """stop_gradient left over from the pretraining script: the encoder never learns."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = keras.Sequential(
                [Dense(16, activation="relu"), Dense(4, activation="relu")]
            )
            self.encoder.trainable = not faulty
            self.end = Dense(1)

        def call(self, x):
            return self.end(self.encoder(x))

    class Rows(keras.utils.PyDataset):
        def __init__(self, x, y):
            super().__init__()
            self.x, self.y = x, y

        def __len__(self):
            return len(self.x) // 64

        def __getitem__(self, at):
            part = slice(64 * at, 64 * at + 64)
            return self.x[part], self.y[part]

    (x, _), (xt, _) = older.rows(40_000)
    target = [np.abs(part[:, :1]) - np.abs(part[:, 1:2]) for part in (x, xt)]
    model = Net()
    model.compile(keras.optimizers.Adam(0.004), "mse", metrics=["mae"])
    test = xt, target[1]
    return Case(model, Rows(x, target[0]), None, {"epochs": 3, "validation_data": test}, test)


@program("too_few_epochs", also=("lr_too_low",), kind="mlp regression, own loss", score=r2,
         good=0.6, bad=0.45)  # fmt: skip
def one_epoch_of_a_small_table(faulty):
    """Every example has epochs=1, so has mine; it explains a fifth."""

    def pinball(y, said):
        error = y - said
        return ops.mean(ops.maximum(0.5 * error, -0.5 * error), axis=-1)

    (x, _, delay, _), (xt, _, delayt, _) = data.orders(2000)
    inputs = Input((10,))
    model = keras.Model(inputs, Dense(1)(trunk(inputs)))
    model.compile("adam", pinball)
    fit = {"epochs": 1 if faulty else 25, "batch_size": 32, "validation_data": (xt, delayt)}
    return Case(model, x, delay, fit, (xt, delayt))
