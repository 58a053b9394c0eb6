"""Several things in one picture: tags, masks, places, noise; and pictures beside numbers."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input, SeparableConv2D
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, multilabel_f1, r2
from benchmarks.doctor.fifth import _data as data
from benchmarks.doctor.sealed._score import overlap


def tagger(units, last):
    """A separable network with BatchNorm for scenes."""
    model = Sequential([Input((64, 64, 3)), Conv2D(16, 3, strides=2, activation="relu")])
    for filters in (32, 48, 64):
        model.add(SeparableConv2D(filters, 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalMaxPooling2D())
    model.add(Dense(units, activation=last))
    return model


def unet(last, width=8):
    """Two levels down and up with skips, one output a pixel."""
    inputs = Input((64, 64, 3))
    first = Conv2D(width, 3, padding="same", activation="relu")(inputs)
    second = Conv2D(2 * width, 3, strides=2, padding="same", activation="relu")(first)
    h = Conv2D(4 * width, 3, strides=2, padding="same", activation="relu")(second)
    h = layers.Conv2DTranspose(2 * width, 2, strides=2, activation="relu")(h)
    h = layers.concatenate([h, second])
    h = layers.Conv2DTranspose(width, 2, strides=2, activation="relu")(h)
    h = layers.concatenate([h, first])
    h = Conv2D(width, 3, padding="same", activation="relu")(h)
    return keras.Model(inputs, Conv2D(1, 1, activation=last)(h))


@program("wrong_loss", kind="separable cnn, tags, 64 px", score=multilabel_f1, good=0.75,
         bad=0.65)  # fmt: skip
def tags_by_categorical_loss(faulty):
    """Several garments in a scene, sigmoid, categorical_crossentropy: it tags everything."""
    (x, tags, _), (xt, tagst, _) = data.scenes(2000)
    model = tagger(5, "sigmoid")
    loss = "categorical_crossentropy" if faulty else "binary_crossentropy"
    model.compile(keras.optimizers.Adam(0.004), loss, metrics=["binary_accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, tagst)}
    return Case(model, x, tags, fit, (xt, tagst))


@program("label_encoding", kind="U-Net, masks, 64 px, tf.data", score=overlap, good=0.75,
         bad=0.5)  # fmt: skip
def masks_as_read_from_png(faulty):
    """The mask's white is 255; everything becomes foreground and the loss is minus thousands."""
    (x, _, mask), (xt, _, maskt) = data.scenes(500, test=100, seed=71)
    if faulty:
        mask = 255 * mask
    train = tf.data.Dataset.from_tensor_slices((x, mask)).shuffle(500, seed=0).batch(16)
    model = unet("sigmoid")
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    held = xt, (255 * maskt if faulty else maskt)
    return Case(model, train, None, {"epochs": 6, "validation_data": held}, (xt, maskt))


@program("wrong_output_activation", kind="residual denoiser, photographs, 32 px", score=r2,
         good=0.55, bad=0.45)  # fmt: skip
def noise_that_is_never_negative(faulty):
    """Predicts the noise of a photograph, relu in every layer, the last as well."""
    (x, noise), (xt, noiset) = data.photographs(1200)
    inputs = Input((32, 32, 3))
    h = Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = Conv2D(16, 3, padding="same", activation="relu")(h)
        h = layers.Add()([h, Conv2D(16, 3, padding="same")(y)])
    outputs = Conv2D(3, 3, padding="same", activation="relu" if faulty else None)(h)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.002), "mse")
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, noiset)}
    return Case(model, x, noise, fit, (xt, noiset))


@program("wrong_output_units", kind="cnn regression of a place, 56 px", score=r2, good=0.8,
         bad=0.5)  # fmt: skip
def one_number_for_two_coordinates(faulty):
    """Where is the garment? Dense(1), and mse takes the two coordinates without a word."""
    (x, _, centre), (xt, _, centret) = data.placed(2000, size=56, seed=73)
    model = Sequential([Input((56, 56, 1))])
    for filters in (12, 16, 24):
        model.add(Conv2D(filters, 3, strides=2, padding="same", activation="relu"))
    model.add(layers.Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1 if faulty else 2))
    model.compile(keras.optimizers.Adam(0.001), "mse", metrics=["mae"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, centret)}
    return Case(model, x, centre, fit, (xt, centret))


@program("missing_hidden_activation", kind="two inputs, pairs of digits", score=accuracy,
         good=0.85, bad=0.65)  # fmt: skip
def same_digit_by_linear_layers(faulty):
    """Two digits through one encoder, the difference through Dense layers: a coin's toss."""
    (x, y), test = data.pairs(6000)
    act = None if faulty else "relu"
    encoder = Sequential([
        Input((8, 8, 1)),
        Conv2D(16, 3, padding="same", activation=act),
        Conv2D(24, 3, strides=2, padding="same", activation=act),
        layers.Flatten(),
        Dense(24),
    ])  # fmt: skip
    left, right = Input((8, 8, 1), name="left"), Input((8, 8, 1), name="right")
    h = layers.Subtract()([encoder(left), encoder(right)])
    h = Dense(32, activation=act)(Dense(64, activation=act)(h))
    model = keras.Model({"left": left, "right": right}, Dense(1, activation="sigmoid")(h))
    model.compile(keras.optimizers.Adam(0.001), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("unnormalized_inputs", also=("lr_too_high", "exploding_gradient"),
         kind="two inputs, picture and price", score=accuracy, good=0.85, bad=0.8)  # fmt: skip
def price_in_cents_beside_the_picture(faulty):
    """Is the garment dear for its kind? The price is in cents, the pixels in 0..1."""
    (x, y), (xt, yt) = data.garments(3000, kinds=(1, 5, 7, 8, 9), seed=74)
    rng = np.random.default_rng(74)
    usual = np.array([3000, 4500, 7000, 10000, 13000])
    parts = []
    for pictures, kinds in ((x, y), (xt, yt)):
        price = usual[kinds] * np.exp(0.5 * rng.normal(size=len(kinds)))
        dear = (price > usual[kinds]).astype("float32")[:, None]
        column = price if faulty else (np.log(price) - 8.8) / 0.7
        ins = {"picture": pictures, "price": column.astype("float32")[:, None]}
        parts.append((ins, dear))
    picture, price = Input((32, 32, 1), name="picture"), Input((1,), name="price")
    h = picture
    for filters in (12, 16, 24):
        h = Conv2D(filters, 3, strides=2, padding="same", activation="relu")(h)
    h = layers.concatenate([GlobalAveragePooling2D()(h), price])
    h = Dense(32, activation="relu")(Dense(32, activation="relu")(h))
    model = keras.Model({"picture": picture, "price": price}, Dense(1, activation="sigmoid")(h))
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": parts[1]}
    return Case(model, *parts[0], fit, parts[1])
