"""Numbers of the wrong size: inputs, targets, NaN, two kinds of preparation."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("unnormalized_inputs", also=("lr_too_high", "dying_relu", "exploding_gradient"),
         kind="mlp binary", score=accuracy, good=0.92)  # fmt: skip
def cancer_raw_with_sgd(faulty):
    """Areas in the thousands and a plain SGD: 0.63, always the same class."""
    (x, y), test = data.cancer(scale=not faulty)
    model = Sequential()
    model.add(Dense(30, activation="relu", input_dim=30))
    model.add(Dense(15, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 16, "validation_data": test}, test)


@program("unnormalized_inputs", also=("vanishing_gradient",), kind="mlp multiclass",
         score=accuracy, good=0.74, bad=0.7, needs="fashion")  # fmt: skip
def fashion_255_into_tanh(faulty):
    """Flatten and Dense with tanh on 0..255; 0.5 instead of 0.8."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    size = 1.0 if faulty else 255.0
    x, xt = (x / size).astype("float32"), (xt / size).astype("float32")
    model = Sequential()
    model.add(Flatten(input_shape=(14, 14)))
    model.add(Dense(64, activation="tanh"))
    model.add(Dense(32, activation="tanh"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@program("unnormalized_inputs", kind="mlp regression", score=r2, good=0.8)
def friedman_columns_of_all_sizes(faulty):
    """One column in metres, one in micrograms, one in euros; the error stays high."""
    (x, y), (xt, yt) = data.friedman()
    size = np.array([1, 1e4, 1e-3, 10, 1e3, 1, 1e4, 1, 100, 1], "float32")
    if faulty:
        x, xt = x * size, xt * size
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=10))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    fit = {"epochs": 20, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("unnormalized_targets", also=("lr_too_high", "exploding_gradient", "dying_relu"),
         kind="mlp regression", score=r2, good=0.35)  # fmt: skip
def diabetes_target_as_in_the_file(faulty):
    """SGD as in the lecture: nan, or the mean for everybody."""
    (x, y), test = data.diabetes(unit=not faulty)
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=10))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.02, momentum=0.5))
    return Case(model, x, y, {"epochs": 12, "batch_size": 16, "validation_split": 0.15}, test)


@program("unnormalized_targets", also=("lr_too_low", "too_few_epochs"), kind="rnn regression",
         score=r2, good=0.8)  # fmt: skip
def waves_in_the_hundreds(faulty):
    """Passengers a month around 400; the GRU predicts 12 for all months."""
    (x, y), (xt, yt) = data.waves(steps=20)

    def passengers(v):
        return 400 + 150 * v if faulty else v

    model = Sequential()
    model.add(layers.GRU(24, input_shape=(20, 1)))
    model.add(Dense(1))
    model.compile(loss="mae", optimizer=keras.optimizers.Adam(0.005))
    fit = {"epochs": 15, "batch_size": 32, "validation_data": (xt, passengers(yt))}
    return Case(model, x, passengers(y), fit, (xt, passengers(yt)))


@program("nan_inputs", kind="cnn multiclass", score=accuracy, good=0.72, needs="fashion")
def fashion_crops_divided_by_their_maximum(faulty):
    """Each corner crop divided by its own maximum; some crops are black."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)

    def prepare(a):
        a = a[..., None].astype("float32")
        a[::97] = 0  # a few broken files
        top = a.max((1, 2, 3), keepdims=True)
        with np.errstate(all="ignore"):
            return a / (top if faulty else np.maximum(top, 1))

    x, xt = prepare(x), prepare(xt)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 7, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@program("nan_inputs", also=("unnormalized_targets",), kind="mlp regression", score=r2, good=0.7)
def houses_log_of_zero(faulty):
    """The logarithm of the price; a few houses were given away."""
    (x, y), (xt, yt) = data.houses()
    y = y.copy()
    y[::150] = 0
    rows = np.ones(len(y), bool) if faulty else y[:, 0] > 0
    with np.errstate(all="ignore"):
        x, y, yt = x[rows], np.log(y[rows]) - 12.2, np.log(yt) - 12.2
    model = Sequential([Input((8,)), Dense(32, activation="relu"), Dense(1)])
    model.compile(keras.optimizers.Adam(0.005), "mse")
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_data": (xt, yt)},
                (xt, yt))  # fmt: skip


@program("preprocessing_mismatch", also=("overfitting",), kind="mlp multiclass", score=accuracy,
         good=0.92, bad=0.8)  # fmt: skip
def wine_two_scalers(faulty):
    """StandardScaler for training, the raw table for validation: val_loss is 300."""
    (x, y), (xt, yt) = data.wine(scale=False)
    mean, deviation = x.mean(0), x.std(0)
    x = (x - mean) / deviation
    if faulty:
        xt = (xt - xt.min()) / (xt.max() - xt.min())
    else:
        xt = (xt - mean) / deviation
    model = Sequential()
    model.add(Dense(24, activation="relu", input_dim=13))
    model.add(Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 30, "batch_size": 8, "validation_data": (xt, yt)}, (xt, yt))


@program("preprocessing_mismatch", also=("overfitting", "unnormalized_inputs"),
         kind="cnn multiclass, tf.data", score=accuracy, good=0.74, bad=0.66,
         needs="fashion")  # fmt: skip
def fashion_map_forgotten_on_validation(faulty):
    """train_ds.map(scale) to -1..1, val_ds without: val_accuracy goes down."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)

    def scale(image, label):
        return tf.cast(image, tf.float32) / 127.5 - 1, label

    def plain(image, label):
        return tf.cast(image, tf.float32) / 255, label

    train = tf.data.Dataset.from_tensor_slices((x[..., None], y)).map(scale)
    val = tf.data.Dataset.from_tensor_slices((xt[..., None], yt)).map(plain if faulty else scale)
    xt = xt[..., None] / 255.0 if faulty else xt[..., None] / 127.5 - 1
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(48, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "validation_data": val.batch(100)}
    return Case(model, train.shuffle(2000, seed=0).batch(32), None, fit, (xt, yt))
