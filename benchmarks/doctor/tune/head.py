"""The last layer and the loss: activation, units, kind of loss."""

import keras
import numpy as np
from keras.layers import Activation, Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, multilabel_f1, r2


@program("wrong_output_activation", kind="mlp binary", score=accuracy, good=0.92)
def cancer_softmax_over_one_unit(faulty):
    """The loss falls nicely, but accuracy is the same number in every epoch."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(30, activation="relu", input_shape=(30,)))
    model.add(Dense(15, activation="relu"))
    model.add(Dense(1, activation="softmax" if faulty else "sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 16, "validation_data": test}, test)


@program("wrong_output_activation", kind="mlp regression", score=r2, good=0.8)
def friedman_relu_output(faulty):
    """My predictions are never below zero although half of the targets are."""
    (x, y), test = data.friedman()
    model = keras.Sequential([
        Input((10,)),
        Dense(64, activation="relu"),
        Dense(64, activation="relu"),
        Dense(1, activation="relu" if faulty else None),
    ])  # fmt: skip
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_split": 0.2}, test)


@program("wrong_output_activation", also=("wrong_loss",), kind="mlp multilabel",
         score=multilabel_f1, good=0.9)  # fmt: skip
def digits_softmax_for_three_tags(faulty):
    """Tags odd, above four, prime: the network never gives more than one of them."""
    (x, y), (xt, yt) = data.digits()

    def tags(k):
        return np.stack([k % 2, k > 4, np.isin(k, (2, 3, 5, 7))], 1).astype("float32")

    inputs = keras.Input(shape=(64,))
    h = Dense(64, activation="relu")(inputs)
    h = Dense(32, activation="relu")(h)
    outputs = Dense(3, activation="softmax" if faulty else "sigmoid")(h)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["binary_accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, tags(y), fit, (xt / 16, tags(yt)))


@program("wrong_output_units", also=("insufficient_capacity",), kind="mlp regression",
         score=r2, good=0.75)  # fmt: skip
def three_targets_one_output(faulty):
    """Three columns to predict; the loss stays near the variance of the targets."""
    (x, _), (xt, _) = data.friedman()

    def targets(a):
        y = np.stack([a[:, 0] * a[:, 1], a[:, 2] ** 2 - a[:, 3], np.sin(2 * a[:, 4])], 1)
        return (2 * y).astype("float32")

    model = Sequential()
    model.add(Dense(64, input_dim=10, activation="relu"))
    model.add(Dense(64, activation="relu"))
    model.add(Dense(1 if faulty else 3))
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.005))
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x, targets(x), fit, (xt, targets(xt)))


@program("wrong_output_units", "wrong_loss", also=("wrong_output_activation",),
         kind="cnn multiclass", score=accuracy, good=0.9)  # fmt: skip
def digits_cnn_one_sigmoid_for_ten_classes(faulty):
    """Ten digits; the loss goes to minus ten thousand and accuracy to 0.1."""
    (x, y), (xt, yt) = data.digits(image=True)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(8, 8, 1)))
    model.add(MaxPooling2D(2))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation="sigmoid") if faulty else Dense(10, activation="softmax"))
    loss = "binary_crossentropy" if faulty else "sparse_categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss=loss, metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("wrong_loss", also=("wrong_output_activation", "wrong_output_units"),
         kind="mlp binary", score=accuracy, good=0.92)  # fmt: skip
def cancer_categorical_crossentropy_over_one_unit(faulty):
    """The loss is exactly 0 from the first epoch and accuracy does not move."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=30))
    model.add(Dense(8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    loss = "categorical_crossentropy" if faulty else "binary_crossentropy"
    model.compile(loss=loss, optimizer=keras.optimizers.RMSprop(0.003), metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("wrong_loss", also=("loss_activation_mismatch",), kind="mlp regression", score=r2,
         good=0.8)  # fmt: skip
def friedman_crossentropy_regression(faulty):
    """Predicting a number with the loss of the tutorial; the loss runs to minus infinity."""
    (x, y), test = data.friedman()
    model = keras.Sequential()
    model.add(keras.layers.Input(shape=(10,)))
    model.add(Dense(100, activation="relu"))
    model.add(Dense(50, activation="relu"))
    model.add(Dense(1))
    model.compile(
        optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy" if faulty else "mse"
    )
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": test}, test)


@program("loss_activation_mismatch", also=("wrong_output_activation",), kind="mlp multiclass",
         score=accuracy, good=0.9)  # fmt: skip
def digits_scores_into_a_loss_of_probabilities(faulty):
    """A last layer without activation, as in the PyTorch version; accuracy sticks low."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential([
        Dense(64, activation="relu", input_shape=(64,)),
        Dense(32, activation="relu"),
        Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not faulty)
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss=loss, metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("loss_activation_mismatch", also=("wrong_output_activation",), kind="cnn multiclass",
         score=accuracy, good=0.74, bad=0.7, needs="fashion")  # fmt: skip
def fashion_softmax_twice(faulty):
    """Softmax in the dense layer and once more as a layer; the loss stops near 1.6."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax" if faulty else None))
    model.add(Activation("softmax"))
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, to_categorical(yt, 10))}
    return Case(model, x, to_categorical(y, 10), fit, (xt, yt))


@program("loss_activation_mismatch", "wrong_output_activation", kind="mlp multiclass",
         score=accuracy, good=0.92)  # fmt: skip
def wine_log_softmax(faulty):
    """log_softmax as in PyTorch, categorical_crossentropy: worse than guessing."""
    (x, y), (xt, yt) = data.wine()
    inputs = Input((13,))
    h = Dense(24, activation="relu")(inputs)
    outputs = Dense(3, activation="log_softmax" if faulty else "softmax")(h)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    val = (xt, to_categorical(yt))
    fit = {"epochs": 25, "batch_size": 8, "validation_data": val}
    return Case(model, x, to_categorical(y), fit, (xt, yt))
