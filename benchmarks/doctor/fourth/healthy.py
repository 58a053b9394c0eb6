"""Sound programs with habits that look suspicious."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input

from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, r2
from benchmarks.doctor.fourth import _data as data
from benchmarks.doctor.fourth.maps import found, hourglass
from benchmarks.doctor.fourth.sequences import SPARSE, attention
from benchmarks.doctor.fourth.tables import trunk
from benchmarks.doctor.sealed._score import in_parts, worst
from benchmarks.doctor.sealed.residual import resnet

right = in_parts(accuracy)


@healthy(kind="ResNet with BatchNorm, 96 px", score=right, good=0.6)
def residual_network_by_the_paper():
    """SGD 0.1 with momentum, a cosine, flips: many short epochs."""
    (x, y, _), (xt, yt, _) = data.shapes(640)
    model = resnet((1, 1, 1), 12, size=96, classes=4, expand=2)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 20 * 10)
    sgd = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=1e-4)
    model.compile(sgd, SPARSE, metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (255 * xt, yt)}
    return Case(model, 255 * x, y, fit, (255 * xt, yt))


@healthy(kind="transformer, AdamW", score=accuracy, good=0.6)
def notes_with_label_smoothing():
    """Smoothed one-hot labels, warm-up, gradient clipping."""
    (x, y), (xt, yt) = data.notes(1600)
    model = attention(5, blocks=2)
    rate = keras.optimizers.schedules.CosineDecay(1e-4, 350, warmup_target=3e-3, warmup_steps=50)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(rate, global_clipnorm=1.0), loss, metrics=["accuracy"])
    hot, hot_t = (keras.utils.to_categorical(part, 5) for part in (y, yt))
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, hot_t)}
    return Case(model, x, hot, fit, (xt, hot_t))


@healthy(kind="segmentation, 5 classes, 96 px, tf.data", score=found, good=0.45)
def pixels_with_flips():
    """Pictures and their maps flipped together, the ground three pixels in four."""
    (x, _, m), (xt, _, mt) = data.shapes(320, test=80)

    def flip(picture, classes):
        turn = tf.random.uniform((), seed=1) < 0.5
        both = picture[:, ::-1], classes[:, ::-1]
        return tf.where(turn, both[0], picture), tf.where(turn, both[1], classes)

    train = tf.data.Dataset.from_tensor_slices((x, m)).shuffle(320, seed=0).map(flip).batch(8)
    model = hourglass(96)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.004), loss, metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 10, "validation_data": (xt, mt)}, (xt, mt))


@healthy(kind="mlp, two outputs", score=worst(euros=r2, delay=r2), good=0.5)
def orders_of_two_sizes():
    """Logarithm of the sum beside the delay, different weights of the losses."""
    (x, euros, delay, _), (xt, eurost, delayt, _) = data.orders(4000)
    inputs = Input((10,))
    h = trunk(inputs)
    model = keras.Model(
        inputs, {"euros": Dense(1, name="euros")(h), "delay": Dense(1, name="delay")(h)}
    )
    model.compile(keras.optimizers.Adam(0.003), {"euros": "mse", "delay": "huber"},
                  loss_weights={"euros": 0.3, "delay": 1.0})  # fmt: skip
    test = xt, {"euros": np.log(eurost) - 8, "delay": delayt}
    fit = {"epochs": 15, "batch_size": 32, "validation_data": test}
    return Case(model, x, {"euros": np.log(euros) - 8, "delay": delay}, fit, test)


@healthy(kind="cnn multiclass, 64 px, noisy labels", score=right, good=0.55)
def a_fifth_of_the_labels_wrong():
    """Labels from a crowd: one in five is another kind, validation is clean."""
    (x, y, _), (xt, yt, _) = data.shapes(1200, size=64)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 4, len(y)), y)
    model = keras.Sequential([
        Input((64, 64, 3)),
        Conv2D(16, 5, strides=2, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        layers.Dropout(0.2),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="series, two years, tf.data", score=r2, good=0.5)
def load_that_drifts():
    """A load that grows and swings; the last fifth is validation, on from where training ends."""
    rng = np.random.default_rng(15)
    t = np.arange(6000)
    load = 0.0002 * t + np.sin(t / 24 * 6.28) + 0.3 * np.sin(t / 168 * 6.28)
    load = (load + 0.1 * rng.normal(size=len(t))).astype("float32")
    x = np.lib.stride_tricks.sliding_window_view(load[:-1], 48)[:, :, None].copy()
    y = load[48:, None]
    cut = int(0.8 * len(x))
    model = keras.Sequential([Input((48, 1)), layers.GRU(24), Dense(1)])
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    train = tf.data.Dataset.from_tensor_slices((x[:cut], y[:cut])).shuffle(cut, seed=0).batch(64)
    test = x[cut:], y[cut:]
    return Case(model, train, None, {"epochs": 5, "validation_data": test}, test)
