"""What the tests of the export share."""

import io

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from kcnn.serving import export
from kcnn.serving._servable import make_servable

NAMES = ["cat", "dög", "a <b> & c"]


def images(n=5, shape=(8, 8, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("uint8")


def softmax(logits):
    e = np.exp(np.float64(logits) - np.max(logits, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def encoded(image, kind="PNG"):
    """One image (h, w, c) as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, kind)
    return file.getvalue()


def small_cnn(activation=None, *, shape=(8, 8, 3), units=3, extra=None):
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.RandomFlip()(x)
    x = keras.layers.Conv2D(8, 3, kernel_initializer="he_normal")(x)
    x = extra(x) if extra is not None else x
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    head = keras.layers.Dense(units, activation=activation, kernel_initializer="he_normal")
    return keras.Model(inputs, head(x))


def exported(model, folder, **options):
    path = export(model, folder / "served", **{"class_names": NAMES, **options})
    return tf.saved_model.load(str(path))


def probabilities(model, **options):
    """What every format of this model answers for `images()`."""
    settings = {
        "class_names": None, "preprocessing": None, "from_logits": None, "multi_label": None
    }  # fmt: skip
    return np.asarray(make_servable(model, **settings | options).probabilities(images()))


def answers(served, images):
    """The same images through all three signatures."""
    ways = served.signatures
    return {
        "float": ways["serving_default"](images=tf.constant(images, tf.float32)),
        "uint8": ways["serving_uint8"](images=tf.constant(images)),
        "bytes": ways["serving_bytes"](image_bytes=tf.constant([encoded(i) for i in images])),
    }
