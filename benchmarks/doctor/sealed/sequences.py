"""Recurrent networks, attention, texts of different length, several series."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Dense, Dropout, Embedding, GlobalAveragePooling1D, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, kept, r2
from benchmarks.doctor.sealed import _data as data


@keras.saving.register_keras_serializable(package="sealed")
class Positions(layers.Layer):
    """Adds a learned vector for each position."""

    def __init__(self, length, width, **kwargs):
        super().__init__(**kwargs)
        self.length, self.width = length, width

    def build(self, shape):
        self.table = self.add_weight(shape=(self.length, self.width), initializer="uniform")

    def call(self, x):
        return x + self.table

    def get_config(self):
        return {**super().get_config(), "length": self.length, "width": self.width}


def transformer(outputs, *, length=90, vocabulary=8000, width=32, blocks=2, dropout=0.1,
                norm=True):  # fmt: skip
    """An encoder with attention, the mean over time and a softmax."""

    def normed(h):
        return layers.LayerNormalization()(h) if norm else h

    inputs = Input((length,), dtype="int32")
    h = Positions(length, width)(Embedding(vocabulary, width)(inputs))
    for _ in range(blocks):
        a = layers.MultiHeadAttention(4, width // 4)(normed(h), normed(h))
        h = layers.Add()([h, Dropout(dropout)(a)])
        f = Dense(2 * width, activation="gelu")(normed(h))
        h = layers.Add()([h, Dropout(dropout)(Dense(width)(f))])
    h = Dropout(dropout)(GlobalAveragePooling1D()(normed(h)))
    return keras.Model(inputs, Dense(outputs, activation="softmax")(h))


@program("lr_too_high", also=("vanishing_gradient", "exploding_gradient"),
         kind="transformer, texts", score=accuracy, good=0.7, bad=0.6)  # fmt: skip
def attention_with_a_rate_for_sgd(faulty):
    """A small transformer, Adam at 0.1: the loss is stuck at 1.1."""
    (x, y), (xt, yt) = data.reviews(2400, classes=3)
    x, xt = data.padded(x), data.padded(xt)
    model = transformer(3)
    adam = keras.optimizers.Adam(0.1 if faulty else 0.002)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 5, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("lr_too_low", also=("too_few_epochs", "vanishing_gradient"),
         kind="lstm, batches of different length", score=accuracy, good=0.7, bad=0.62)  # fmt: skip
def texts_in_ragged_batches(faulty):
    """Each batch is as long as its longest text; plain SGD at 0.001, 0.5 for ever."""
    (x, y), (xt, yt) = data.reviews(1600, low=10, high=50)

    def texts():
        yield from zip(x, y, strict=True)

    shapes = tf.TensorSpec((None,), "int32"), tf.TensorSpec((), "int64")
    train = tf.data.Dataset.from_generator(texts, output_signature=shapes)
    train = train.cache().shuffle(1600, seed=0).padded_batch(32)
    model = keras.Sequential([
        Embedding(8000, 24, mask_zero=True),
        layers.Bidirectional(layers.LSTM(24)),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    optimizer = keras.optimizers.SGD(0.001) if faulty else keras.optimizers.Adam(0.005)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    xt = data.padded(xt, 50)
    return Case(model, train, None, {"epochs": 5, "validation_data": (xt, yt)}, (xt, yt))


@program("overfitting", kind="embedding, texts", score=kept, good=0.85, bad=0.7)
def texts_learned_by_heart(faulty):
    """300 texts, 60 epochs; validation loss has its best value at epoch 8 and doubles."""
    (x, y), (xt, yt) = data.reviews(300, test=500)
    x, xt = data.padded(x), data.padded(xt)
    model = keras.Sequential([
        Input((90,), dtype="int32"),
        Embedding(8000, 64),
        layers.Flatten(),
        Dense(64, activation="relu"),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 60 if faulty else 30, "batch_size": 32, "validation_data": (xt, yt)}
    if not faulty:
        fit["callbacks"] = [keras.callbacks.EarlyStopping(patience=1)]
    return Case(model, x, y, fit, (xt, yt))


@program("exploding_gradient", also=("lr_too_high", "bad_initialization"),
         kind="rnn regression, 6 series", score=r2, good=0.5, bad=0.3)  # fmt: skip
def sensors_through_a_relu_rnn(faulty):
    """60 steps of six sensors through SimpleRNN(relu): 1e7 as the first loss, then nan."""
    (x, y), test = data.sensors(1500)
    if faulty:
        start = keras.initializers.Orthogonal(gain=1.6)
        cell = layers.SimpleRNN(48, activation="relu", recurrent_initializer=start)
    else:
        cell = layers.GRU(32)
    model = keras.Sequential([Input((60, 6)), cell, Dense(1)])
    model.compile(keras.optimizers.Adam(0.004), "mse")
    fit = {"epochs": 6, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program(
    "preprocessing_mismatch", kind="lstm regression, 6 series, tf.data", score=r2, good=0.5, bad=0.3
)
def sensors_scaled_by_their_own_day(faulty):
    """Each part is scaled in its own function; in the one for validation I forgot the mean."""
    (x, y), (xt, yt) = data.sensors(2000)
    offset, unit = np.array([20, 5, 80, 3, 9, 50]), np.array([4, 1, 20, 0.5, 2, 10])
    raw, raw_test = x * unit + offset, xt * unit + offset
    mean, deviation = raw.mean((0, 1)), raw.std((0, 1))
    train = tf.data.Dataset.from_tensor_slices((((raw - mean) / deviation).astype("float32"), y))
    scaled = raw_test / deviation if faulty else (raw_test - mean) / deviation
    test = scaled.astype("float32"), yt
    val = tf.data.Dataset.from_tensor_slices(test).batch(64)
    model = keras.Sequential([Input((60, 6)), layers.GRU(32), Dense(1)])
    model.compile(keras.optimizers.Adam(0.004), "mse", metrics=["mae"])
    fit = {"epochs": 6, "validation_data": val}
    return Case(model, train.shuffle(2000, seed=0).batch(32), None, fit, test)
