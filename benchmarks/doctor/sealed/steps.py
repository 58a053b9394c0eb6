"""A train_step or loss of one's own, subclassed models, mixed precision."""

import keras
import tensorflow as tf
from keras import layers, ops
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2
from benchmarks.doctor.sealed import _data as data


def _clothes(n=2500):
    (x, y), (xt, yt) = data.small.fashion(n, test=600, small=True)
    return (x[..., None] / 255.0, y), (xt[..., None] / 255.0, yt)


@program("frozen_layers", kind="cnn multiclass, own train_step", score=accuracy,
         good=0.55, bad=0.45, needs="fashion")  # fmt: skip
def step_for_the_last_layer_only(faulty):
    """My train_step updates what I thought were all weights; it learns the head alone."""

    class Trainer(keras.Model):
        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
            weights = self.trainable_variables
            if faulty:
                weights = weights[-2:]
            gradients = tape.gradient(loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return self.compute_metrics(x, y, y_pred)

    (x, y), test = _clothes()
    inputs = Input((14, 14, 1))
    h = Conv2D(8, 3, strides=2, activation="relu")(inputs)
    h = Conv2D(8, 3, strides=2, activation="relu")(h)
    h = Dense(8, activation="relu")(Dense(8, activation="relu")(GlobalAveragePooling2D()(h)))
    model = Trainer(inputs, Dense(10, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("loss_activation_mismatch", also=("lr_too_low", "vanishing_gradient"),
         kind="cnn multiclass, own train_step and loss", score=accuracy, good=0.72,
         bad=0.7, needs="fashion")  # fmt: skip
def step_that_squashes_twice(faulty):
    """Softmax in the model, sparse_softmax_cross_entropy in my step; 1.6 is the best loss."""

    class Trainer(keras.Model):
        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                scores = self(x, training=True)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, "int32"), scores)
                loss = tf.reduce_mean(loss)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, scores)
            return {m.name: m.result() for m in self.metrics}

    (x, y), test = _clothes()
    inputs = Input((14, 14, 1))
    h = Dense(64, activation="relu")(Flatten()(Conv2D(16, 3, activation="relu")(inputs)))
    last = "softmax" if faulty else None
    model = Trainer(inputs, Dense(10, activation=last)(h))
    model.compile(keras.optimizers.SGD(0.02),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=not faulty),
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("bad_initialization", also=("vanishing_gradient",), kind="mlp multiclass, subclassed",
         score=accuracy, good=0.65, bad=0.5)  # fmt: skip
def own_layers_start_at_zero(faulty):
    """My own Linear layer, with tf.zeros for the weights as for the bias."""

    class Linear(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, shape):
            start = "zeros" if faulty else "he_normal"
            self.w = self.add_weight(shape=(shape[-1], self.units), initializer=start)
            self.b = self.add_weight(shape=(self.units,), initializer="zeros")

        def call(self, x):
            return ops.matmul(x, self.w) + self.b

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [Linear(64), Linear(64), Linear(5)]

        def call(self, x):
            for part in self.parts[:-1]:
                x = ops.relu(part(x))
            return ops.softmax(self.parts[-1](x))

    (x, y), test = data.rows(60_000)
    model = Net()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 2, "batch_size": 128, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("lr_too_high", also=("dying_relu", "exploding_gradient"),
         kind="cnn multiclass, mixed precision", score=accuracy, good=0.65, bad=0.5,
         needs="fashion")  # fmt: skip
def half_precision_at_one(faulty):
    """SGD at 2.0 with mixed precision: nan, or 0.1."""
    (x, y), test = _clothes()
    keras.config.set_dtype_policy("mixed_float16")
    model = Sequential([
        Input((14, 14, 1)),
        Conv2D(16, 3, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        Flatten(),
        Dense(64, activation="relu"),
        Dense(10),
        layers.Activation("softmax", dtype="float32"),
    ])  # fmt: skip
    sgd = keras.optimizers.SGD(2.0 if faulty else 0.02, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras.config.set_dtype_policy("float32")
    fit = {"epochs": 5, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("wrong_output_activation", kind="autoencoder, subclassed", score=r2, good=0.6, bad=0.52)
def autoencoder_without_negative_values(faulty):
    """An autoencoder of standardised sensor windows whose last layer is a sigmoid."""

    class Auto(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = Sequential([Dense(96, activation="relu"), Dense(16)])
            self.decoder = Sequential([
                Dense(96, activation="relu"),
                Dense(120, activation="sigmoid" if faulty else None),
            ])  # fmt: skip

        def call(self, x):
            return self.decoder(self.encoder(x))

    (x, _), (xt, _) = data.sensors(3000, steps=60)
    x, xt = x[:, :, :2].reshape(-1, 120), xt[:, :, :2].reshape(-1, 120)
    model = Auto()
    model.compile(keras.optimizers.Adam(0.002), "mse")
    fit = {"epochs": 15, "batch_size": 32, "validation_data": (xt, xt)}
    return Case(model, x, x, fit, (xt, xt))


@program("label_encoding", also=("lr_too_high", "wrong_loss", "wrong_output_activation"),
         kind="mlp binary, own loss", score=accuracy, good=0.8, bad=0.7)  # fmt: skip
def hinge_with_zero_and_one(faulty):
    """A hinge loss of my own, labels 0 and 1: it says yes to everything."""

    def hinge(y, score):
        return ops.mean(ops.maximum(1.0 - ops.cast(y, score.dtype) * score, 0.0), axis=-1)

    (x, y), (xt, yt) = data.rows(30_000, classes=2)
    signs = (y if faulty else 2 * y - 1).astype("float32")[:, None]
    inputs = Input((20,))
    h = Dense(64, activation="relu")(Dense(64, activation="relu")(inputs))
    model = keras.Model(inputs, Dense(1)(h))
    model.compile(keras.optimizers.Adam(0.001), hinge)
    return Case(model, x, signs, {"epochs": 3, "batch_size": 128}, (xt, yt - 0.0))
