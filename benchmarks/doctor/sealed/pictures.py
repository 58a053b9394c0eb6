"""Pictures of 56 to 224 pixels: scale, augmentation, activations, initial weights."""

import keras
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy
from benchmarks.doctor.sealed import _data as data
from benchmarks.doctor.sealed._score import in_parts

right = in_parts(accuracy)


def _stack(size, channels, classes=10, *, activation="relu", last="softmax", scale=True, **conv):
    """A plain network: a strided stem, two more convolutions, a mean, a last layer."""
    head = [layers.Rescaling(1 / 127.5, offset=-1)] if scale else []
    return Sequential([
        Input((size, size, channels)),
        *head,
        Conv2D(16, 7, strides=4, activation=activation, **conv),
        Conv2D(32, 3, strides=2, activation=activation, **conv),
        Conv2D(64, 3, strides=2, activation=activation, **conv),
        GlobalAveragePooling2D(),
        Dense(classes, activation=last),
    ])  # fmt: skip


@program("unnormalized_inputs", also=("lr_too_high", "dying_relu", "exploding_gradient"),
         kind="cnn multiclass, 128 px", score=right, good=0.6, bad=0.5)  # fmt: skip
def surfaces_as_raw_bytes(faulty):
    """Six kinds of surface, 128 pixels, SGD: nan in the first epoch."""
    (x, y), (xt, yt) = data.textures(600)
    model = _stack(128, 1, 6, scale=not faulty, kernel_initializer="he_normal")
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, xt = x.astype("float32"), xt.astype("float32")
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("preprocessing_mismatch", kind="cnn multiclass, 112 px, tf.data", score=right,
         good=0.5, bad=0.35, needs="fashion")  # fmt: skip
def pictures_scaled_in_training_only(faulty):
    """Training accuracy 0.9, validation 0.1 from the first epoch on."""
    (x, y), (xt, yt) = data.clothes(1200, size=112)
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1200, seed=0)
    train = train.map(lambda a, b: (tf.cast(a, "float32") / 127.5 - 1, b)).batch(32)
    xt = xt.astype("float32") if faulty else xt.astype("float32") / 127.5 - 1
    val = tf.data.Dataset.from_tensor_slices((xt, yt)).batch(64)
    model = _stack(112, 3, scale=False)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, train, None, {"epochs": 8, "validation_data": val}, (xt, yt))


@program("augmentation_breaks_label", kind="cnn multiclass, 96 px", score=right, good=0.75, bad=0.6)
def stripes_turned_at_random(faulty):
    """Which way do the stripes run? With RandomRotation it is wrong three times in four."""
    (x, y), test = data.gratings(900)
    change = layers.RandomRotation(0.5, fill_mode="reflect", seed=1) if faulty else (
        layers.RandomContrast(0.2, seed=1))  # fmt: skip
    model = Sequential([
        Input((96, 96, 1)),
        change,
        Conv2D(12, 9, strides=3, activation="relu"),
        Conv2D(24, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("missing_hidden_activation", kind="cnn multiclass, 96 px", score=right, good=0.75, bad=0.6)
def stripes_through_linear_filters(faulty):
    """Convolutions learn filters for the stripes, so where is the problem? One in four."""
    (x, y), test = data.gratings(900)
    act = None if faulty else "relu"
    model = Sequential([
        Input((96, 96, 1)),
        Conv2D(12, 9, strides=3, activation=act),
        Conv2D(24, 3, strides=2, activation=act),
        Conv2D(24, 3, strides=2, activation=act),
        GlobalAveragePooling2D(),
        Dense(24, activation=act),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("vanishing_gradient", also=("bad_initialization",), kind="cnn multiclass, 96 px",
         score=right, good=0.45, bad=0.3, needs="fashion")  # fmt: skip
def pictures_through_nine_sigmoids(faulty):
    """Nine convolutions with the activation of the textbook; 2.30 for ever."""
    (x, y), (xt, yt) = data.clothes(1000)
    act = "sigmoid" if faulty else "relu"
    model = Sequential([Input((96, 96, 3)), layers.Rescaling(1 / 127.5, offset=-1)])
    model.add(Conv2D(16, 5, strides=4, activation=act))
    for _ in range(4):
        model.add(Conv2D(16, 3, padding="same", activation=act))
    model.add(Conv2D(32, 3, strides=2, activation=act))
    for _ in range(3):
        model.add(Conv2D(32, 3, padding="same", activation=act))
    model.add(Flatten())
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("bad_initialization", also=("exploding_gradient", "vanishing_gradient", "lr_too_high"),
         kind="cnn multiclass, 224 px", score=right, good=0.6, bad=0.5)  # fmt: skip
def surfaces_with_unit_normal_filters(faulty):
    """224 pixels, filters drawn from N(0, 1): the first loss is 40,000."""
    (x, y), (xt, yt) = data.textures(320, test=120, size=160)
    init = keras.initializers.RandomNormal(stddev=1.0, seed=0) if faulty else "he_normal"
    model = Sequential([
        Input((160, 160, 1)),
        layers.Resizing(224, 224),
        layers.Rescaling(1 / 127.5, offset=-1),
        Conv2D(16, 7, strides=4, activation="relu", kernel_initializer=init),
        Conv2D(32, 5, strides=4, activation="relu", kernel_initializer=init),
        Conv2D(48, 3, activation="relu", kernel_initializer=init),
        Conv2D(48, 3, activation="relu", kernel_initializer=init),
        GlobalAveragePooling2D(),
        Dense(6, activation="softmax", kernel_initializer=init),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 10, "batch_size": 16, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("insufficient_capacity", kind="cnn multiclass, 96 px", score=right, good=0.45, bad=0.35,
         needs="fashion")  # fmt: skip
def pictures_through_one_channel(faulty):
    """A mobile network, narrow in the middle; it knows two of the ten classes."""
    (x, y), (xt, yt) = data.clothes(1200)
    middle = 1 if faulty else 48
    model = Sequential([
        Input((96, 96, 3)),
        layers.Rescaling(1 / 127.5, offset=-1),
        Conv2D(16, 5, strides=4, activation="relu"),
        layers.DepthwiseConv2D(3, strides=2),
        Conv2D(middle, 1, activation="relu"),
        layers.MaxPooling2D(2),
        layers.MaxPooling2D(3 if faulty else 1),
        Flatten(),
        Dense(1 if faulty else 64, activation="relu"),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))
