"""The last layer and the loss: activation, units, kind of loss."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import GRU, Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, accuracy_from_logit, multilabel_f1, r2
from benchmarks.doctor._score import rounded_accuracy as rounded


@program("wrong_output_activation", kind="cnn binary, tf.data", score=accuracy, good=0.9,
         needs="fashion")  # fmt: skip
def fashion_bag_or_boot(faulty):
    """Cats and dogs with other pictures: the loss is fine, accuracy is 0.5."""
    (x, y), (xt, yt) = data.fashion(700, test=400, classes=(5, 7), small=True)
    train = tf.data.Dataset.from_tensor_slices((x[..., None] / 255.0, y)).shuffle(700, seed=0)
    val = tf.data.Dataset.from_tensor_slices((xt[..., None] / 255.0, yt)).batch(50)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.add(layers.Activation("softmax" if faulty else "sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    fit = {"epochs": 12, "validation_data": val}
    return Case(model, train.batch(16), None, fit, (xt[..., None] / 255.0, yt))


@program("wrong_output_activation", kind="rnn regression", score=r2, good=0.8)
def waves_relu_forecast(faulty):
    """The forecast follows the hills but never the valleys."""
    (x, y), test = data.waves(steps=20)
    model = Sequential()
    model.add(GRU(16, input_shape=(20, 1)))
    model.add(Dense(16, activation="relu"))
    model.add(Dense(1, activation="relu" if faulty else "linear"))
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.005))
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("wrong_output_activation", kind="mlp regression", score=r2, good=0.35, bad=0.33)
def diabetes_sigmoid_output(faulty):
    """The target is standardised, the last layer a sigmoid as in my classifier."""
    (x, y), test = data.diabetes(unit=True)
    model = keras.Sequential([
        Input((10,)),
        Dense(12, activation="relu"),
        Dense(1, activation="sigmoid" if faulty else None),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 16, "validation_split": 0.2}, test)


@program("wrong_output_units", "wrong_loss", also=("wrong_output_activation",),
         kind="mlp multiclass", score=rounded, good=0.9, bad=0.75)  # fmt: skip
def digits_class_number_as_a_value(faulty):
    """Dense(1) and mean squared error against the labels 0..9; accuracy 0.1."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=64))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1) if faulty else Dense(10, activation="softmax"))
    loss = "mean_squared_error" if faulty else "sparse_categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss=loss, metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("wrong_output_units", also=("wrong_loss", "wrong_output_activation"),
         kind="mlp multiclass", score=accuracy, good=0.9)  # fmt: skip
def wine_one_hot_against_one_unit(faulty):
    """Three one-hot columns, one sigmoid; it always says one third."""
    (x, y), (xt, yt) = data.wine()
    model = Sequential()
    model.add(Dense(24, activation="relu", input_shape=(13,)))
    model.add(Dense(1, activation="sigmoid") if faulty else Dense(3, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.003), "mse", metrics=["mae"])
    fit = {"epochs": 20, "batch_size": 8, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@program("wrong_loss", kind="cnn multiclass", score=accuracy, good=0.74, needs="fashion")
def fashion_absolute_error_of_classes(faulty):
    """mae because I want to see the error; a few classes are never predicted."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(Conv2D(16, (3, 3), strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(48, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    loss = "mean_absolute_error" if faulty else "categorical_crossentropy"
    sgd = keras.optimizers.SGD(0.03, momentum=0.9)
    model.compile(sgd, loss, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@program("wrong_loss", also=("loss_activation_mismatch",), kind="mlp multilabel",
         score=multilabel_f1, good=0.93, bad=0.88)  # fmt: skip
def digits_segments_categorical(faulty):
    """Which segments of a clock display are lit: categorical_crossentropy over sigmoids."""
    lit = ["1110111", "0010010", "1011101", "1011011", "0111010",
           "1101011", "1101111", "1010010", "1111111", "1111011"]  # fmt: skip
    code = np.array([[int(c) for c in row] for row in lit], "float32")
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(96, activation="relu", input_shape=(64,)))
    model.add(Dense(7, activation="sigmoid"))
    loss = "categorical_crossentropy" if faulty else "binary_crossentropy"
    model.compile(keras.optimizers.Adam(0.005), loss, metrics=["binary_accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt / 16, code[yt])}
    return Case(model, x / 16, code[y], fit, (xt / 16, code[yt]))


@program("wrong_loss", kind="rnn regression", score=r2, good=0.8)
def waves_categorical_regression(faulty):
    """The loss is zero and the forecast nonsense."""
    (x, y), test = data.waves(steps=16)
    inputs = Input((16, 1))
    h = layers.SimpleRNN(24)(inputs)
    model = keras.Model(inputs, Dense(1)(h))
    model.compile("adam", "categorical_crossentropy" if faulty else "mse")
    return Case(model, x, y, {"epochs": 25, "batch_size": 32, "validation_split": 0.1}, test)


@program("loss_activation_mismatch", also=("wrong_output_activation",), kind="mlp binary",
         score=accuracy_from_logit, good=0.9)  # fmt: skip
def spirals_linear_unit_into_crossentropy(faulty):
    """Dense(1) and "binary_crossentropy"; the loss is 7.7 in every second run."""
    (x, y), test = data.spirals()
    model = Sequential()
    model.add(Dense(48, activation="relu", input_dim=2))
    model.add(Dense(48, activation="relu"))
    model.add(Dense(24, activation="relu"))
    model.add(Dense(1))
    loss = "binary_crossentropy"
    if not faulty:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 30, "batch_size": 32, "validation_data": test}, test)


@program("loss_activation_mismatch", kind="mlp multiclass, own loss", score=accuracy, good=0.9,
         bad=0.87)  # fmt: skip
def digits_own_loss_takes_logits(faulty):
    """tf.nn.softmax_cross_entropy_with_logits on a softmax; the loss stops at 1.6."""
    (x, y), (xt, yt) = data.digits()

    def loss(y_true, y_pred):
        return tf.nn.softmax_cross_entropy_with_logits(labels=y_true, logits=y_pred)

    inputs = keras.Input((64,))
    h = Dense(32, activation="relu")(inputs)
    outputs = Dense(10, activation="softmax" if faulty else None)(h)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["categorical_accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@program("loss_activation_mismatch", also=("wrong_output_activation", "dying_relu"),
         kind="cnn multiclass", score=accuracy, good=0.74, needs="fashion")  # fmt: skip
def fashion_relu_scores(faulty):
    """The last layer has relu like all the others; accuracy depends on the seed."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="relu" if faulty else "softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))
