"""Images to images, and other answers than one class: maps, reconstructions, numbers, labels."""

import keras
import numpy as np
from keras import layers
from keras.optimizers import Adam

from doctor_zoo.make import LOGITS, compiled, held, perceptron, pictures, sequential, setup


@setup
def segmentation():
    x, _ = pictures(320)
    y = (x.mean(-1) > 0.55).astype(int)
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    d = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(h))
    h = layers.Concatenate()([h, layers.UpSampling2D()(d)])
    model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(h))
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=25, batch=16)


@setup
def autoencoder():
    x, _ = pictures(400)
    x = x.reshape(len(x), -1)
    model = perceptron((432,), 64, 16, 64, units=432, end="sigmoid")
    return compiled(model, Adam(3e-3), "mse", []), *held(x, x, epochs=25)


def masks(n=320):
    x, _ = pictures(n)
    return x, (x.mean(-1, keepdims=True) > 0.55).astype("float32")


def u_net(end, units=1):
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    d = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(h))
    u = layers.Conv2DTranspose(16, 2, 2, activation="relu")(d)
    h = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.Concatenate()([h, u]))
    return keras.Model(inputs, layers.Conv2D(units, 1, activation=end)(h))


@setup
def u_net_of_masks():
    model = compiled(u_net("sigmoid"), Adam(1e-3), "binary_crossentropy")
    return model, *held(*masks(), epochs=40, batch=16)


@setup
def u_net_of_logits():
    x, y = masks()
    model = compiled(u_net(None, units=2), Adam(5e-3), LOGITS)
    return model, *held(x, y.astype(int), epochs=15, batch=16)


@setup
def dice_loss():
    def dice(y, p):
        both = keras.ops.sum(y * p, (1, 2, 3))
        whole = keras.ops.sum(y, (1, 2, 3)) + keras.ops.sum(p, (1, 2, 3))
        return 1 - (2 * both + 1) / (whole + 1)

    return compiled(u_net("sigmoid"), Adam(5e-3), dice, []), *held(*masks(), epochs=40, batch=16)


@setup
def denoising_autoencoder():
    x, _ = pictures(400)
    noisy = np.clip(x + 0.1 * np.random.default_rng(1).normal(size=x.shape), 0, 1)
    model = sequential(
        (12, 12, 3), layers.Conv2D(24, 3, 2, padding="same", activation="relu"),
        layers.Conv2DTranspose(24, 3, 2, padding="same", activation="relu"),
        layers.Conv2D(3, 3, padding="same", activation="sigmoid"),
    )  # fmt: skip
    model = compiled(model, "adam", "binary_crossentropy", [])
    return model, *held(noisy.astype("float32"), x, epochs=20)


@setup
def twice_the_size():
    x, _ = pictures(300)
    small = x.reshape(len(x), 6, 2, 6, 2, 3).mean((2, 4))
    model = sequential(
        (6, 6, 3), layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(12, 3, padding="same"), layers.Reshape((6, 6, 2, 2, 3)),
        layers.Permute((1, 3, 2, 4, 5)), layers.Reshape((12, 12, 3)),
    )  # fmt: skip
    return compiled(model, Adam(3e-3), "mae", []), *held(small, x, epochs=30)


@setup
def number_of_an_image():
    x, _ = pictures(600)
    x = x * np.random.default_rng(2).uniform(0.3, 1, (len(x), 1, 1, 1)).astype("float32")
    y = (4 * x.mean((1, 2, 3)) - 1).astype("float32")
    model = sequential(
        (12, 12, 3), layers.Conv2D(16, 3, 2, activation="relu"), layers.Flatten(),
        layers.Dense(32, "relu"), layers.Dense(1),
    )  # fmt: skip
    return compiled(model, Adam(3e-3), "mse", ["mae"]), *held(x, y, epochs=15)


@setup
def labels_of_images_from_logits():
    x, y = pictures(600, classes=8)
    bits = np.stack([y & 1, (y >> 1) & 1, (y >> 2) & 1], 1).astype("float32")
    model = sequential(
        (12, 12, 3), layers.Conv2D(24, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(64, "relu"),
        layers.Dense(3),
    )  # fmt: skip
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metrics = [keras.metrics.BinaryAccuracy(threshold=0.0)]
    return compiled(model, Adam(2e-3), loss, metrics), *held(x, bits, epochs=14)


@setup
def class_and_box():
    x, y = pictures(500)
    box = np.stack([x.mean((1, 3)).argmax(1), x.mean((2, 3)).argmax(1)], 1) / 11
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(24, 3, activation="relu")(inputs)
    h = layers.Flatten()(layers.Conv2D(32, 3, 2, activation="relu")(h))
    h = layers.Dense(64, "relu")(h)
    kind, place = layers.Dense(10, "softmax", name="kind")(h), layers.Dense(2, name="box")(h)
    model = keras.Model(inputs, [kind, place])
    model.compile(
        Adam(3e-3), ["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.5],
        metrics=[["accuracy"], ["mae"]],
    )  # fmt: skip
    return model, x, [y, box.astype("float32")], {"epochs": 15, "batch_size": 32}
