"""Healthy programs on tables, with habits that look suspicious."""

import keras
import numpy as np
from keras import layers
from keras.layers import Dense, Dropout, Input
from keras.models import Sequential
from keras.regularizers import l2
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, balanced_accuracy, multilabel_f1, r2


@healthy(kind="logistic regression", score=accuracy, good=0.93)
def cancer_logistic():
    """One unit, no hidden layer, plain SGD at a high rate that works."""
    (x, y), test = data.cancer()
    model = Sequential([Input((30,)), Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_split": 0.2}, test)


@healthy(kind="linear regression", score=r2, good=0.35)
def diabetes_linear():
    """No hidden layer; half of the variance is all there is to explain."""
    (x, y), test = data.diabetes(unit=True)
    model = Sequential([Input((10,)), Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 15, "batch_size": 16, "validation_data": test}, test)


@healthy(kind="mlp multiclass, small", score=accuracy, good=0.88)
def iris_softmax_tiny():
    """A hundred rows and a few units."""
    (x, y), (xt, yt) = data.iris()
    model = Sequential()
    model.add(Dense(8, activation="relu", input_dim=4))
    model.add(Dense(3, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 25, "batch_size": 8, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@healthy(kind="mlp binary, two softmax units", score=accuracy, good=0.93)
def cancer_softmax_over_two_units():
    """Softmax over two units with integer labels."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(16, activation="tanh", input_dim=30))
    model.add(Dense(2, activation="softmax"))
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["acc"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 16, "validation_data": test}, test)


@healthy(kind="mlp multilabel", score=multilabel_f1, good=0.9)
def digits_four_bits():
    """Four sigmoid units, the bits of the digit."""
    (x, y), (xt, yt) = data.digits()

    def bits(k):
        return ((k[:, None] >> np.arange(4)) & 1).astype("float32")

    model = Sequential([Input((64,)), Dense(96, activation="relu"), Dense(4, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["binary_accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt / 16, bits(yt))}
    return Case(model, x / 16, bits(y), fit, (xt / 16, bits(yt)))


@healthy(kind="mlp regression, heavy tail", score=r2, good=0.7)
def house_prices_log():
    """Log prices with a Huber loss, RMSprop."""
    (x, y), (xt, yt) = data.houses()
    y, yt = np.log(y) - 12.2, np.log(yt) - 12.2
    model = Sequential([Input((8,)), Dense(48, activation="relu"), Dense(1)])
    model.compile(keras.optimizers.RMSprop(0.003), keras.losses.Huber(), metrics=["mae"])
    return Case(model, x, y, {"epochs": 25, "batch_size": 32, "validation_split": 0.2}, (xt, yt))


@healthy(kind="mlp regression, heavy-tailed targets", score=r2, good=0.75)
def house_prices_in_units_of_their_mean():
    """A skewed target with a few values ten times the median, mean absolute error."""
    (x, y), (xt, yt) = data.houses()
    y, yt = y / 2e5, yt / 2e5
    model = Sequential([
        Input((8,)),
        Dense(64, activation="relu"),
        Dense(32, activation="relu"),
        Dense(1, activation="softplus"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), "mae")
    return Case(model, x, y, {"epochs": 15, "batch_size": 32, "validation_data": (xt, yt)},
                (xt, yt))  # fmt: skip


@healthy(kind="mlp binary, imbalanced but learned", score=balanced_accuracy, good=0.9)
def one_in_ten_learned():
    """Nine to one, clearly separable, without weights."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 10)).astype("float32")
    score = x[:, 0] * 2 + x[:, 1] - x[:, 2]
    y = (score > np.quantile(score, 0.9)).astype(int)
    (x, y), test = data.split(x, y)
    model = Sequential([Input((10,)), Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_data": test}, test)


@healthy(kind="mlp multiclass, one at a time", score=accuracy, good=0.9)
def wine_one_at_a_time():
    """batch_size=1 without BatchNorm, shuffle=False on data that are already shuffled."""
    (x, y), test = data.wine()
    model = Sequential([Input((13,)), Dense(16, activation="relu"), Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 5, "batch_size": 1, "shuffle": False, "validation_data": test}
    return Case(model, x, y, fit, test)


@healthy(kind="mlp multiclass, dropout and l2", score=accuracy, good=0.9)
def digits_dropout_half():
    """Dropout of one half and a small penalty, momentum, early stopping."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(128, activation="relu", kernel_regularizer=l2(1e-4), input_shape=(64,)))
    model.add(Dropout(0.5))
    model.add(Dense(64, activation="relu", kernel_regularizer=l2(1e-4)))
    model.add(Dropout(0.5))
    model.add(Dense(10, activation="softmax"))
    sgd = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2, "callbacks": [stop]}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@healthy(kind="deep mlp multiclass", score=accuracy, good=0.9)
def digits_twelve_layers():
    """Twelve layers with BatchNorm and class weights nobody needs."""
    (x, y), (xt, yt) = data.digits()
    inputs = h = Input((64,))
    for _ in range(12):
        h = layers.BatchNormalization(momentum=0.9)(Dense(48, use_bias=False)(h))
        h = layers.Activation("relu")(h)
    model = keras.Model(inputs, Dense(10, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 20, "batch_size": 64, "validation_data": (xt / 16, yt),
           "class_weight": {k: 1.0 + 0.02 * k for k in range(10)}}  # fmt: skip
    return Case(model, x / 16, y, fit, (xt / 16, yt))
