"""Sound programs: mixed precision, masked sequences, a linear probe, weights, flips."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Embedding, GlobalAveragePooling2D, Input, SeparableConv2D
from keras.models import Sequential

from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, multilabel_f1, r2
from benchmarks.doctor.fifth import _data as data
from benchmarks.doctor.fifth.scenes import tagger
from benchmarks.doctor.fifth.tables import appraiser, logarithm

SPARSE = "sparse_categorical_crossentropy"


@healthy(kind="separable cnn, mixed precision, 32 px", score=accuracy, good=0.7)
def half_precision_and_smooth_labels():
    """mixed_bfloat16, label smoothing, AdamW and a cosine."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    (x, y), (xt, yt) = data.garments(3000, seed=91)
    model = Sequential([Input((32, 32, 1)), Conv2D(16, 3, strides=2, activation="relu")])
    for filters in (32, 64):
        model.add(SeparableConv2D(filters, 3, strides=2, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(GlobalAveragePooling2D())
    model.add(Dense(10, activation="softmax", dtype="float32"))
    rate = keras.optimizers.schedules.CosineDecay(0.006, 10 * len(x) // 64)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.02),
                  keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
                  metrics=["accuracy"])  # fmt: skip
    hot, hot_t = (keras.utils.to_categorical(part, 10) for part in (y, yt))
    fit = {"epochs": 10, "batch_size": 64, "validation_data": (xt, hot_t)}
    return Case(model, x, hot, fit, (xt, hot_t))


@healthy(kind="bidirectional LSTM, padded phrases", score=accuracy, good=0.75)
def phrases_of_any_length():
    """Padded with zeros and masked, gradients clipped."""
    (x, y), (xt, yt) = data.phrases(3000, seed=93)
    rng = np.random.default_rng(93)
    for part in (x, xt):
        part[np.arange(30)[None] >= rng.integers(20, 31, (len(part), 1))] = 0
    model = Sequential([
        Input((30,), dtype="int32"),
        Embedding(600, 16, mask_zero=True),
        layers.Bidirectional(layers.LSTM(16)),
        layers.Dropout(0.3),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003, clipnorm=1.0), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="linear probe of a small backbone, 32 px", score=accuracy, good=0.7)
def a_probe_on_good_features():
    """A backbone trained on nine kinds, frozen; a new head for all ten from few pictures."""
    (x0, y0), _ = data.garments(4000, seed=94)
    (x, y), test = data.garments(1500, seed=95)
    backbone = Sequential([Input((32, 32, 1))])
    for filters in (16, 32, 64):
        backbone.add(Conv2D(filters, 3, strides=2, padding="same", activation="relu"))
    backbone.add(GlobalAveragePooling2D())
    first = Sequential([backbone, Dense(10, activation="softmax")])
    first.compile(keras.optimizers.Adam(0.003), SPARSE)
    first.fit(x0, y0, epochs=6, verbose=0)
    backbone.trainable = False
    model = Sequential([backbone, Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@healthy(kind="mlp with embeddings, heavy tails, tf.data", score=r2, good=0.6)
def rents_by_their_logarithm():
    """Logarithm of the rent, absolute error, weights by the sample, one cycle of rates."""
    (x, euros), (xt, eurost) = data.rents(8000, seed=96)
    y, yt = logarithm(euros), logarithm(eurost)
    weight = np.random.default_rng(96).uniform(0.5, 1.5, len(y)).astype("float32")
    train = tf.data.Dataset.from_tensor_slices((x, y, weight)).shuffle(8000, seed=0)
    rate = keras.optimizers.schedules.CosineDecay(5e-4, 1200, warmup_target=0.005, warmup_steps=125)
    model = appraiser()
    model.compile(keras.optimizers.Adam(rate), "mae")
    fit = {"epochs": 11, "validation_data": (xt, yt)}
    return Case(model, train.batch(64).prefetch(2), None, fit, (xt, yt))


@healthy(kind="separable cnn, tags, 64 px, tf.data", score=multilabel_f1, good=0.75)
def tags_with_flips_and_colours():
    """Several tags a picture; flips and brightness in the pipeline, focal loss."""
    (x, tags, _), (xt, tagst, _) = data.scenes(2000, seed=97)

    def vary(picture, tag):
        picture = tf.image.random_flip_left_right(picture, seed=1)
        return tf.clip_by_value(tf.image.random_brightness(picture, 0.1, seed=2), 0, 1), tag

    train = tf.data.Dataset.from_tensor_slices((x, tags)).shuffle(2000, seed=0).map(vary)
    model = tagger(5, "sigmoid")
    loss = keras.losses.BinaryFocalCrossentropy(gamma=1.0)
    model.compile(keras.optimizers.Adam(0.004), loss, metrics=["binary_accuracy"])
    fit = {"epochs": 8, "validation_data": (xt, tagst)}
    return Case(model, train.batch(32).prefetch(2), None, fit, (xt, tagst))
