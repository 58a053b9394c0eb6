"""Healthy programs on tables, with habits that look suspicious."""

import keras
import numpy as np
from keras import layers
from keras.layers import Dense, Input
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, balanced_accuracy, multilabel_f1, r2


@healthy(kind="mlp multiclass, small", score=accuracy, good=0.92)
def wine_half_of_the_rows():
    """Sixty rows for training; plain SGD with Nesterov momentum."""
    (x, y), test = data.wine()
    model = Sequential([Input((13,)), Dense(12, activation="tanh"), Dense(3, activation="softmax")])
    sgd = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 8, "validation_data": test}
    return Case(model, x[:60], y[:60], fit, test)


@healthy(kind="multinomial logistic regression", score=accuracy, good=0.9)
def digits_softmax_regression():
    """No hidden layer, one-hot labels, label smoothing."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential([Input((64,)), Dense(10, activation="softmax")])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@healthy(kind="mlp regression, Huber", score=r2, good=0.33)
def diabetes_huber_dropout():
    """A noisy target with a Huber loss and a little dropout."""
    (x, y), test = data.diabetes(unit=True)
    model = Sequential([
        Input((10,)),
        Dense(16, activation="relu"),
        layers.Dropout(0.2),
        Dense(1),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), keras.losses.Huber(1.0), metrics=["mae"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 16, "validation_data": test}, test)


@healthy(kind="mlp directions, cosine similarity", score=accuracy, good=0.9)
def digits_cosine_to_codes():
    """Cosine similarity to one-hot codes: the loss goes to minus one."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential([Input((64,)), Dense(64, activation="relu"), Dense(10)])
    model.compile(keras.optimizers.Adam(0.003), keras.losses.CosineSimilarity())
    val = (xt / 16, to_categorical(yt))
    fit = {"epochs": 10, "batch_size": 32, "validation_data": val}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@healthy(kind="mlp regression, counts", score=r2, good=0.5)
def counts_with_poisson_loss():
    """Counts up to thirty, an exponential output and the Poisson loss."""
    rng = np.random.default_rng(13)
    x = rng.normal(size=(1200, 6)).astype("float32")
    y = rng.poisson(np.exp(1.2 + 0.6 * x[:, 0] - 0.3 * x[:, 1])).astype("float32")
    (x, y), test = data.split(x, y.reshape(-1, 1), stratify=False)
    model = Sequential(
        [Input((6,)), Dense(24, activation="relu"), Dense(1, activation="exponential")]
    )
    model.compile(keras.optimizers.Adam(0.005), "poisson")
    return Case(model, x, y, {"epochs": 20, "batch_size": 32, "validation_data": test}, test)


@healthy(kind="mlp binary, class weights", score=balanced_accuracy, good=0.8)
def weighted_rare_class():
    """Six in a hundred, class_weight, and AUC as the metric."""
    rng = np.random.default_rng(14)
    x = rng.normal(size=(2500, 10)).astype("float32")
    score = x[:, 0] + x[:, 1] + 0.6 * rng.normal(size=2500)
    y = (score > np.quantile(score, 0.94)).astype(int)
    (x, y), test = data.split(x, y)
    model = Sequential([Input((10,)), Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile(
        keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")]
    )
    fit = {"epochs": 12, "batch_size": 64, "class_weight": {0: 0.53, 1: 8.3},
           "validation_data": test}  # fmt: skip
    return Case(model, x, y, fit, test)


@healthy(kind="mlp multilabel", score=multilabel_f1, good=0.85)
def digits_larger_than():
    """Nine sigmoid units, is the digit larger than k; the hinge of a colleague replaced by BCE."""
    (x, y), (xt, yt) = data.digits()

    def larger(k):
        return (k[:, None] > np.arange(9)).astype("float32")

    model = Sequential([Input((64,)), Dense(64, activation="relu"), Dense(9)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metric = keras.metrics.BinaryAccuracy(threshold=0.0)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=[metric])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt / 16, larger(yt))}
    return Case(model, x / 16, larger(y), fit, (xt / 16, larger(yt)))


@healthy(kind="deep selu mlp", score=accuracy, good=0.9)
def digits_selu_ten_layers():
    """Ten selu layers, lecun_normal, no normalization layer."""
    (x, y), (xt, yt) = data.digits()
    x, xt = (x - 4.9) / 6, (xt - 4.9) / 6
    model = Sequential([Input((64,))])
    for _ in range(10):
        model.add(Dense(48, activation="selu", kernel_initializer="lecun_normal"))
    model.add(Dense(10, activation="softmax"))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="mlp regression, sample weights", score=r2, good=0.8)
def friedman_weighted_rows():
    """Weights for the rows, a batch of 128, validation_split and three targets."""
    (x, y), (xt, yt) = data.friedman()

    def three(x, y):
        return np.concatenate([y, y * y, x[:, :1]], 1)

    weight = np.linspace(0.5, 1.5, len(x)).astype("float32")
    inputs = Input((10,))
    h = Dense(96, activation="swish")(inputs)
    h = Dense(96, activation="swish")(h)
    model = keras.Model(inputs, Dense(3)(h))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    fit = {"epochs": 30, "batch_size": 64, "validation_split": 0.1, "sample_weight": weight}
    return Case(model, x, three(x, y), fit, (xt, three(xt, yt)))
