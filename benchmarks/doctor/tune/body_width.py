"""What the body can hold: width, frozen layers, normalization layers."""

import keras
from keras.layers import (
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    LayerNormalization,
    MaxPooling2D,
)
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("insufficient_capacity", kind="mlp multiclass", score=accuracy, good=0.9)
def digits_bottleneck_of_one(faulty):
    """A one-unit code in the middle; accuracy ends at 0.3."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(64, activation="tanh", input_shape=(64,)))
    model.add(Dense(1 if faulty else 32, activation="tanh"))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("insufficient_capacity", kind="cnn multiclass", score=accuracy, good=0.75,
         needs="fashion")  # fmt: skip
def fashion_strided_to_nothing(faulty):
    """Strides of four: nothing is left to look at after two layers."""
    (x, y), (xt, yt) = data.fashion(2500)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(4 if faulty else 16, 3, strides=5 if faulty else 2, activation="relu",
                     input_shape=(28, 28, 1)))  # fmt: skip
    model.add(Conv2D(4 if faulty else 32, 3, strides=5 if faulty else 2, activation="relu"))
    model.add(GlobalAveragePooling2D() if faulty else Flatten())
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 8, "batch_size": 64, "validation_split": 0.1}
    return Case(model, x, y, fit, (xt, yt))


@program("frozen_layers", kind="mlp multiclass", score=accuracy, good=0.9, bad=0.6)
def digits_everything_frozen(faulty):
    """Copied from a transfer learning guide; training changes nothing at all."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential([
        Dense(64, activation="relu", input_shape=(64,)),
        Dense(32, activation="relu"),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    if faulty:
        for layer in model.layers:
            layer.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("frozen_layers", kind="cnn multiclass", score=accuracy, good=0.73, bad=0.6,
         needs="fashion")  # fmt: skip
def fashion_frozen_base_never_trained(faulty):
    """The base is frozen, but I forgot to load its weights."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    base = Sequential([
        Conv2D(8, 3, strides=2, activation="relu", input_shape=(14, 14, 1)),
        Conv2D(16, 3, strides=2, activation="relu"),
        Conv2D(16, 2, activation="relu"),
        GlobalAveragePooling2D(),
    ], name="base")  # fmt: skip
    base.trainable = not faulty
    inputs = Input((14, 14, 1))
    model = keras.Model(inputs, Dense(10, activation="softmax")(base(inputs)))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 12, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("frozen_layers", kind="mlp regression", score=r2, good=0.75, bad=0.6)
def friedman_frozen_middle(faulty):
    """Only the last layer learns; the error stays twice what it was before the refactoring."""
    (x, y), test = data.friedman()
    inputs = Input((10,))
    h = Dense(8, activation="tanh", trainable=not faulty)(inputs)
    h = Dense(8, activation="tanh", trainable=not faulty)(h)
    model = keras.Model(inputs, Dense(1)(h))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    fit = {"epochs": 30, "batch_size": 64, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("bad_normalization", "bad_batch_size", kind="mlp multiclass", score=accuracy, good=0.85)
def digits_batchnorm_on_two_samples(faulty):
    """BatchNormalization and tiny batches because of memory; validation jumps about."""
    (x, y), (xt, yt) = data.digits()
    x, y = x[:500], y[:500]
    model = Sequential()
    model.add(Dense(32, input_shape=(64,)))
    if faulty:
        model.add(BatchNormalization())
    model.add(keras.layers.Activation("relu"))
    model.add(Dense(16))
    if faulty:
        model.add(BatchNormalization())
    model.add(keras.layers.Activation("relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 4, "batch_size": 2, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("bad_normalization", kind="conv1d regression", score=r2, good=0.8)
def waves_layernorm_over_one_value(faulty):
    """I normalise each step of a series of one channel; the loss never moves."""
    (x, y), test = data.waves()
    inputs = Input((32, 1))
    h = LayerNormalization()(inputs) if faulty else inputs
    h = Conv1D(16, 5, activation="relu")(h)
    h = Conv1D(32, 5, strides=2, activation="relu")(h)
    model = keras.Model(inputs, Dense(1)(Flatten()(h)))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    return Case(model, x, y, {"epochs": 10, "batch_size": 16, "validation_data": test}, test)


@program("bad_normalization", kind="cnn multiclass", score=accuracy, good=0.85)
def digits_groupnorm_after_pooling(faulty):
    """As many groups as channels, after the global pooling; all images look alike."""
    (x, y), (xt, yt) = data.digits(image=True)
    model = Sequential()
    model.add(Input((8, 8, 1)))
    model.add(Conv2D(32, 3, padding="same", activation="relu"))
    model.add(MaxPooling2D(2))
    model.add(Conv2D(32, 3, padding="same", activation="relu"))
    model.add(GlobalAveragePooling2D())
    model.add(keras.layers.GroupNormalization(groups=32 if faulty else 4))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))
