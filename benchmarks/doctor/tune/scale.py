"""Numbers of the wrong size: inputs, targets, NaN, two kinds of preparation."""

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Conv1D, Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("unnormalized_inputs", kind="mlp multiclass", score=accuracy, good=0.92)
def wine_raw_columns(faulty):
    """13 columns, one of them in the thousands; the loss starts at 80."""
    (x, y), test = data.wine(scale=not faulty)
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=13))
    model.add(Dense(16, activation="relu"))
    model.add(Dense(3, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return Case(model, x, y, {"epochs": 20, "batch_size": 8, "validation_split": 0.15}, test)


@program("unnormalized_inputs", also=("lr_too_high", "dying_relu", "exploding_gradient"),
         kind="cnn multiclass", score=accuracy, good=0.73, needs="fashion")  # fmt: skip
def fashion_pixels_to_255(faulty):
    """Same network as the tutorial, but mine stays at 0.1."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None].astype("float32"), xt[..., None].astype("float32")
    if not faulty:
        x, xt = x / 255, xt / 255
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    sgd = keras.optimizers.SGD(0.02, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 6, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@program("unnormalized_inputs", also=("vanishing_gradient",), kind="mlp multiclass",
         score=accuracy, good=0.9)  # fmt: skip
def wine_raw_into_sigmoid(faulty):
    """The features straight from the file into sigmoid units: 0.4, the share of one class."""
    (x, y), test = data.wine(scale=not faulty)
    model = keras.Sequential([
        Input((13,)),
        Dense(24, activation="sigmoid"),
        Dense(12, activation="sigmoid"),
        Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, x, y, {"epochs": 40, "batch_size": 16, "validation_data": test}, test)


@program("unnormalized_targets", also=("lr_too_low", "too_few_epochs"), kind="mlp regression",
         score=r2, good=0.75)  # fmt: skip
def house_prices_in_dollars(faulty):
    """The mean squared error is 5e10; after 40 epochs it still is."""
    (x, y), (xt, yt) = data.houses()
    scale = 1.0 if faulty else float(y.std())
    shift = 0.0 if faulty else float(y.mean())
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=8))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.003), metrics=["mae"])
    fit = {"epochs": 20, "batch_size": 32, "validation_split": 0.1}
    return Case(model, x, (y - shift) / scale, fit, (xt, (yt - shift) / scale))


@program("unnormalized_targets", also=("lr_too_high", "exploding_gradient"),
         kind="conv1d regression", score=r2, good=0.8)  # fmt: skip
def series_in_thousands(faulty):
    """Sales in thousands; with SGD the loss is nan after a few steps."""
    (x, y), (xt, yt) = data.waves()
    size = 3000.0 if faulty else 1.0
    model = Sequential()
    model.add(Conv1D(16, 5, activation="relu", input_shape=(32, 1)))
    model.add(Conv1D(16, 5, strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(1))
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse")
    fit = {"epochs": 20, "batch_size": 32, "validation_data": (xt, size * yt)}
    return Case(model, x, size * y, fit, (xt, size * yt))


@program("nan_inputs", also=("unnormalized_inputs",), kind="mlp multiclass", score=accuracy,
         good=0.9)  # fmt: skip
def digits_divided_by_zero_deviation(faulty):
    """I standardise every pixel; loss: nan from the first batch."""
    (x, y), (xt, yt) = data.digits()
    mean, deviation = x.mean(0), x.std(0)
    if not faulty:
        deviation = np.maximum(deviation, 1.0)
    with np.errstate(all="ignore"):
        x, xt = (x - mean) / deviation, (xt - mean) / deviation
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, y, fit, (xt, yt))


@program("nan_inputs", kind="mlp regression", score=r2, good=0.3)
def diabetes_missing_values(faulty):
    """A few cells of the table are empty; the loss is nan."""
    (x, y), test = data.diabetes(unit=True)
    rng = np.random.default_rng(0)
    holes = rng.random(x.shape) < 0.01
    x = np.where(holes, np.nan if faulty else 0.0, x).astype("float32")
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=10))
    model.add(Dense(1))
    model.compile(loss="mae", optimizer=keras.optimizers.Adam(0.003))
    return Case(model, x, y, {"epochs": 20, "batch_size": 16, "validation_data": test}, test)


@program("preprocessing_mismatch", also=("overfitting", "unnormalized_inputs"),
         kind="cnn multiclass", score=accuracy, good=0.74, needs="fashion")  # fmt: skip
def fashion_validation_not_divided(faulty):
    """Training goes to 0.9, val_accuracy does not, val_loss is above 100."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x = x[..., None].astype("float32") / 255
    xt = xt[..., None].astype("float32") / (1 if faulty else 255)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="tanh", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="tanh"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 6, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@program("preprocessing_mismatch", also=("overfitting",), kind="mlp multiclass, tf.data",
         score=accuracy, good=0.9)  # fmt: skip
def digits_inverted_validation(faulty):
    """White on black in training, black on white in validation: worse than guessing."""
    (x, y), (xt, yt) = data.digits()
    x, xt = x / 16, (1 - xt / 16) if faulty else xt / 16
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000, seed=0).batch(32)
    val = tf.data.Dataset.from_tensor_slices((xt, yt)).batch(64)
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return Case(model, train, None, {"epochs": 10, "validation_data": val}, (xt, yt))
