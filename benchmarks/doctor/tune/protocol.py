"""How it is trained and judged: order, metric, overfitting, regularization, leaks."""

import keras
import numpy as np
from keras.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from keras.models import Sequential
from keras.regularizers import l2

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import (
    accuracy,
    honest,
    kept,
    metric_tells,
    multilabel_f1,
    r2,
)


@program("missing_shuffle", kind="mlp multiclass", score=accuracy, good=0.9)
def digits_class_after_class(faulty):
    """The data come folder by folder, and I pass shuffle=False for reproducibility."""
    (x, y), (xt, yt) = data.digits()
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 10, "batch_size": 32, "shuffle": not faulty, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("missing_shuffle", also=("overfitting", "preprocessing_mismatch"),
         kind="mlp multiclass, validation_split", score=accuracy, good=0.88, bad=0.75)  # fmt: skip
def iris_split_in_file_order(faulty):
    """Training accuracy 0.97, validation accuracy 0.0."""
    (x, y), test = data.iris()
    if faulty:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=4))
    model.add(Dense(3, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 30, "batch_size": 8, "validation_split": 0.33}
    return Case(model, x, y, fit, test)


@program("wrong_metric", kind="mlp regression", score=metric_tells(r2, "accuracy"), good=0.9,
         bad=0.4)  # fmt: skip
def friedman_accuracy_of_a_regression(faulty):
    """Accuracy is 0.0 in every epoch. What am I doing wrong?"""
    (x, y), test = data.friedman()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=10))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    metric = "accuracy" if faulty else "mae"
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.005), metrics=[metric])
    return Case(model, x, y, {"epochs": 20, "batch_size": 64, "validation_data": test}, test)


@program("wrong_metric", kind="mlp multilabel", score=metric_tells(multilabel_f1, "same"),
         good=0.9, bad=0.4)  # fmt: skip
def tags_compared_for_equality(faulty):
    """My own metric compares prediction and truth with ==; it reads 0.0."""
    (x, y), (xt, yt) = data.digits()

    def same(y_true, y_pred):
        return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_true, y_pred), "float32"))

    def tags(k):
        return np.stack([k % 2, k > 4, k % 3 == 0], 1).astype("float32")

    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(3, activation="sigmoid"))
    model.compile(
        keras.optimizers.Adam(0.003),
        "binary_crossentropy",
        metrics=[same if faulty else "binary_accuracy"],
    )
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x / 16, tags(y), fit, (xt / 16, tags(yt)))


@program("wrong_metric", kind="cnn autoencoder", score=metric_tells(r2, "accuracy"), good=0.9,
         bad=0.7)  # fmt: skip
def autoencoder_accuracy(faulty):
    """The pictures come out fine, but accuracy says 0.0."""
    (x, _), (xt, _) = data.digits(image=True)
    x, xt = x / 8 - 1, xt / 8 - 1
    model = Sequential()
    model.add(Conv2D(16, 3, strides=2, padding="same", activation="relu", input_shape=(8, 8, 1)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(64))
    model.add(keras.layers.Reshape((8, 8, 1)))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["accuracy" if faulty else "mae"])
    fit = {"epochs": 40, "batch_size": 32, "validation_data": (xt, xt)}
    return Case(model, x, x, fit, (xt, xt))


@program("overfitting", also=("insufficient_capacity",), kind="mlp regression", score=kept,
         good=0.85, bad=0.75)  # fmt: skip
def diabetes_learned_by_heart(faulty):
    """loss 0.02, val_loss 1.3 and rising."""
    (x, y), test = data.diabetes(unit=True)
    units = 256 if faulty else 16
    model = Sequential()
    model.add(Dense(units, activation="relu", input_dim=10))
    model.add(Dropout(0.0 if faulty else 0.3))
    model.add(Dense(units, activation="relu"))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.003), metrics=["mae"])
    fit = {"epochs": 25, "batch_size": 16, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("overfitting", kind="mlp multiclass", score=kept, good=0.85, bad=0.75, needs="fashion")
def fashion_two_hundred_images(faulty):
    """accuracy 1.00, val_accuracy 0.70, val_loss goes up and up."""
    (x, y), test = data.fashion(300 if faulty else 1500, small=True)
    x, xt = x.reshape(-1, 196) / 255.0, test[0].reshape(-1, 196) / 255.0
    model = Sequential()
    model.add(Dense(256, activation="relu", input_shape=(196,)))
    model.add(Dense(256, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 60 if faulty else 6, "batch_size": 32, "validation_data": (xt, test[1])}
    return Case(model, x, y, fit, (xt, test[1]))


@program("excessive_regularization", kind="mlp multiclass", score=accuracy, good=0.9)
def digits_dropout_of_nearly_everything(faulty):
    """I read that dropout takes the share to keep, so I gave 0.95."""
    (x, y), (xt, yt) = data.digits()
    rate = 0.95 if faulty else 0.1
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dropout(rate))
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(rate))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("excessive_regularization", kind="cnn multiclass", score=accuracy, good=0.74,
         needs="fashion")  # fmt: skip
def fashion_l2_of_one(faulty):
    """Loss from 40 down to 2.3, but accuracy 0.1."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    strength = 0.5 if faulty else 1e-4
    inputs = Input((14, 14, 1))
    h = Conv2D(16, 3, activation="relu", kernel_regularizer=l2(strength))(inputs)
    h = Flatten()(MaxPooling2D(2)(h))
    h = Dense(64, activation="relu", kernel_regularizer=l2(strength))(h)
    outputs = Dense(10, activation="softmax", kernel_regularizer=l2(strength))(h)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("data_leak", also=("overfitting",), kind="mlp binary", score=honest, good=0.88,
         bad=0.85)  # fmt: skip
def diabetes_validated_on_training_rows(faulty):
    """Validation says 0.99; on new patients it is 0.7."""
    (x, y), (xt, yt) = data.diabetes()
    high, high_test = (y[:, 0] > 140).astype(int), (yt[:, 0] > 140).astype(int)
    val = (x[:100], high[:100])
    train = (x, high) if faulty else (x[100:], high[100:])
    model = Sequential()
    model.add(Dense(128, activation="relu", input_dim=10))
    model.add(Dense(128, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    fit = {"epochs": 30, "batch_size": 16, "validation_data": val, "callbacks": [stop]}
    return Case(model, *train, fit, (xt, high_test))


@program("data_leak", also=("overfitting",), kind="mlp binary, validation_split", score=honest,
         good=0.9, bad=0.87)  # fmt: skip
def table_doubled_before_the_split(faulty):
    """More data by appending the table to itself; wonderful, until the first new rows."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1200, 20)).astype("float32")
    y = (x[:, 0] + x[:, 1] + 1.2 * rng.normal(size=1200) > 0).astype(int)
    (x, y), test = data.split(x, y, test=0.6)
    if faulty:
        x, y = np.concatenate([x, x]), np.concatenate([y, y])
    rows = rng.permutation(len(x))
    x, y = x[rows], y[rows]
    model = Sequential()
    model.add(Dense(128, activation="relu", input_dim=20))
    model.add(Dense(64, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    fit = {"epochs": 25, "batch_size": 32, "validation_split": 0.3, "callbacks": [stop]}
    return Case(model, x, y, fit, test)
