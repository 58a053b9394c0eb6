"""What the set-ups share: small data, a residual network, a perceptron, `compile`."""

import keras
import numpy as np
from keras import layers

SPARSE = "sparse_categorical_crossentropy"
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ZOO = {}


def setup(make):
    ZOO[make.__name__] = make
    return make


def pictures(n=480, classes=10, side=12, channels=3, seed=0):
    """Noisy prototypes in 0..1, moved by a pixel or two."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(classes, side // 3, side // 3, channels))
    kinds = np.kron(kinds, np.ones((1, 3, 3, 1)))
    y = rng.integers(0, classes, n)
    x = np.stack([np.roll(kinds[k], rng.integers(-1, 2, 2), (0, 1)) for k in y])
    x = 0.5 + 0.18 * (x + 0.5 * rng.normal(size=x.shape))
    return np.clip(x, 0, 1).astype("float32"), y


def table(n=600, columns=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    centers = 1.5 * rng.normal(size=(classes, columns))
    return (centers[y] + rng.normal(size=(n, columns))).astype("float32"), y


def texts(n=600, words=200, length=16, seed=0):
    """Class 1 holds a few words of its own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.integers(20, words, (n, length))
    for row, label in enumerate(y):
        x[row, rng.integers(0, length, 4)] = 10 * label + rng.integers(1, 6, 4)
    return x, y


def compiled(model, optimizer, loss=SPARSE, metrics=("accuracy",), **more):
    model.compile(optimizer, loss, metrics=list(metrics), **more)
    return model


def held(x, y, epochs=8, batch=32, part=0.2, **more):
    """The last rows as validation data."""
    cut = int(len(y) * (1 - part))
    fit = {"epochs": epochs, "batch_size": batch, "validation_data": (x[cut:], y[cut:])}
    return x[:cut], y[:cut], {**fit, **more}


def batch_norm():
    return layers.BatchNormalization(momentum=0.9)  # as in the papers; runs here are short


def residual(norm=batch_norm, classes=10, width=16, end=None):
    inputs = keras.Input((12, 12, 3))
    h = layers.ReLU()(norm()(layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)))
    for filters, stride in ((width, 1), (2 * width, 2)):
        short = h
        b = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(h)
        b = layers.ReLU()(norm()(b))
        b = norm()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(b))
        if stride > 1:
            short = norm()(layers.Conv2D(filters, 1, stride, use_bias=False)(h))
        h = layers.ReLU()(layers.Add()([short, b]))
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(inputs, layers.Dense(classes, activation=end)(h))


def perceptron(shape, *widths, units=3, end="softmax"):
    body = [layers.Dense(width, "relu") for width in widths]
    return keras.Sequential([keras.Input(shape), *body, layers.Dense(units, end)])


def sequential(shape, *body, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *body])
