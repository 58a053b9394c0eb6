"""Pictures of 64 to 224 pixels."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor import _data as small_data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, balanced_accuracy, honest
from benchmarks.doctor.fourth import _data as data
from benchmarks.doctor.sealed._score import in_parts
from benchmarks.doctor.sealed.residual import resnet

right = in_parts(accuracy)


def small(size, classes, *, width=16, drop=0.0, last="softmax", **conv):
    """Three strided convolutions with BatchNorm, a mean, a last layer."""
    body = []
    for filters in (width, 2 * width, 3 * width):
        body += [Conv2D(filters, 3, strides=2, use_bias=False, **conv),
                 BatchNormalization(momentum=0.9), layers.ReLU()]  # fmt: skip
    return Sequential([
        Input((size, size, 3)),
        *body,
        GlobalAveragePooling2D(),
        layers.Dropout(drop),
        Dense(classes, activation=last),
    ])  # fmt: skip


@program("lr_too_low", also=("too_few_epochs",), kind="ResNet with BatchNorm, 64 px", score=right,
         good=0.6, bad=0.45)  # fmt: skip
def residual_network_crawls(faulty):
    """SGD at 1e-5 as in my colleague's fine-tuning; from scratch it stays at 0.25."""
    (x, y, _), (xt, yt, _) = data.shapes(640, size=64)
    model = resnet((1, 1, 1), 12, size=64, classes=4, expand=2)
    sgd = keras.optimizers.SGD(1e-5 if faulty else 0.05, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (255 * xt, yt)}
    return Case(model, 255 * x, y, fit, (255 * xt, yt))


@program("excessive_regularization", kind="cnn multiclass, 96 px", score=right, good=0.7, bad=0.55)
def shapes_under_a_heavy_penalty(faulty):
    """L2 of 1.0 on every kernel against overfitting: it guesses."""
    (x, y, _), (xt, yt, _) = data.shapes(700)
    model = small(96, 4, kernel_regularizer=keras.regularizers.L2(3.0 if faulty else 1e-4))
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("class_imbalance", kind="cnn binary, 64 px", score=balanced_accuracy, good=0.75, bad=0.6)
def the_rare_ring(faulty):
    """One picture in thirty shows a ring; accuracy 0.967 from the start, no ring is found."""
    (x, y, _), (xt, yt, _) = data.shapes(4000, test=600, size=64)
    keep = (y != 2) | (np.arange(len(y)) % 9 == 0)
    x, y = x[keep][:1500], (y[keep] == 2)[:1500].astype("float32")
    model = Sequential([
        Input((64, 64, 3)),
        Conv2D(12, 5, strides=3, activation="relu"),
        Conv2D(24, 3, strides=2, activation="relu"),
        Conv2D(24, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    test = xt, (yt == 2).astype("float32")
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    if not faulty:
        fit["class_weight"] = {0: 1.0, 1: 25.0}
    return Case(model, x, y, fit, test)


@program("augmentation_breaks_label", kind="cnn multiclass, 96 px, tf.data", score=right, good=0.7,
         bad=0.6)  # fmt: skip
def arrows_flipped_by_the_pipeline(faulty):
    """Where does the arrow point? My map function flips left and right at random."""
    (x, y), (xt, yt) = small_data.arrows(1300, size=12)
    x, xt = (part.repeat(8, 1).repeat(8, 2) for part in (x, xt))

    def change(picture, label):
        if faulty:
            return tf.image.random_flip_left_right(picture, 5), label
        return tf.image.random_brightness(picture, 0.1, 5), label

    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).map(change)
    model = Sequential([
        Input((96, 96, 1)),
        Conv2D(12, 8, strides=8, activation="relu"),
        Conv2D(24, 5, padding="same", activation="relu"),
        Conv2D(24, 5, padding="same", activation="relu"),
        layers.GlobalMaxPooling2D(),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.004), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 10, "validation_data": (xt, yt)}
    return Case(model, train.batch(32), None, fit, (xt, yt))


@program("preprocessing_mismatch", kind="ResNet with BatchNorm, 64 px, tf.data", score=right,
         good=0.6, bad=0.5)  # fmt: skip
def standardised_in_training_alone(faulty):
    """per_image_standardization in the training pipeline; validation hardly moves."""
    (x, y, _), (xt, yt, _) = data.shapes(800, size=64)

    def standard(picture, label):
        return tf.image.per_image_standardization(picture) * 60 + 128, label

    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).map(standard)
    ready = np.asarray(tf.map_fn(lambda p: tf.image.per_image_standardization(p) * 60 + 128, xt))
    model = resnet((1, 1), 12, size=64, classes=4, expand=2)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    test = (xt if faulty else ready), yt
    fit = {"epochs": 8, "validation_data": test}
    return Case(model, train.batch(32), None, fit, test)


@program("data_leak", kind="cnn multiclass, 64 px", score=honest, good=0.85, bad=0.82)
def copies_on_both_sides(faulty):
    """I tripled the rare pictures, then split: 0.9 on validation, 0.6 at the customer's."""
    (x, y, _), test = data.shapes(260, test=300, size=64, noise=0.35)
    if faulty:
        order = np.random.default_rng(0).permutation(3 * len(x)) % len(x)
        x, y = x[order], y[order]
    model = Sequential([
        Input((64, 64, 3)),
        Conv2D(24, 5, strides=3, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        Dense(64, activation="relu"),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 12 if faulty else 36, "batch_size": 32, "validation_split": 0.25}
    return Case(model, x, y, fit, test[:2])


@program("bad_initialization", "exploding_gradient", also=("lr_too_high",),
         kind="cnn multiclass, 224 px", score=right, good=0.6, bad=0.5)  # fmt: skip
def deep_and_loud_filters(faulty):
    """224 pixels through eight convolutions, VarianceScaling(12): nan, or the same class always."""
    (x, y, _), (xt, yt, _) = data.shapes(300, test=100, size=224)
    start = keras.initializers.VarianceScaling(40.0 if faulty else 2.0, seed=3)
    model = Sequential([Input((224, 224, 3)), layers.Rescaling(2.0, offset=-1)])
    for filters, strides in (
        (12, 4),
        (12, 1),
        (24, 2),
        (24, 1),
        (24, 2),
        (32, 1),
        (32, 2),
        (32, 1),
    ):
        model.add(Conv2D(filters, 3, strides=strides, padding="same", activation="relu",
                         kernel_initializer=start))  # fmt: skip
    model.add(GlobalAveragePooling2D())
    model.add(Dense(4, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 16, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))
