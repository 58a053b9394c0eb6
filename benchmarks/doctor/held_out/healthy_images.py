"""Healthy programs on images and sequences, with habits that look suspicious."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, r2


@healthy(kind="cnn multiclass", score=accuracy, good=0.74, needs="fashion")
def fashion_batchnorm_high_rate():
    """SGD at 0.3 with momentum, which BatchNorm allows."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential([Input((14, 14, 1))])
    for filters in (16, 32):
        model.add(Conv2D(filters, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(GlobalAveragePooling2D())
    model.add(Dense(10, activation="softmax"))
    schedule = keras.optimizers.schedules.CosineDecay(0.3, 320)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    return Case(model, x, y, {"epochs": 5, "batch_size": 32, "validation_data": (xt, yt)}, (xt, yt))


@healthy(kind="cnn multiclass, tf.data", score=accuracy, good=0.85)
def digits_plain_eight_convolutions():
    """Eight plain layers with he_normal, a prefetching pipeline."""
    (x, y), (xt, yt) = data.digits(image=True)
    train = tf.data.Dataset.from_tensor_slices((x / 16, y)).shuffle(1300, seed=0).batch(32)
    val = tf.data.Dataset.from_tensor_slices((xt / 16, yt)).batch(100)
    model = Sequential([Input((8, 8, 1))])
    for _ in range(8):
        model.add(Conv2D(16, 3, padding="same", activation="relu", kernel_initializer="he_normal"))
    model.add(Flatten())
    model.add(Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
    return Case(model, train.prefetch(2), None, {"epochs": 8, "validation_data": val},
                (xt / 16, yt))  # fmt: skip


@healthy(kind="mlp multiclass, frozen random features", score=accuracy, good=0.9)
def digits_random_features():
    """A frozen random layer of a thousand units; only the head learns, and that is enough."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(1000, activation="relu", trainable=False, input_shape=(64,)))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@healthy(kind="cnn binary, raw pixels with BatchNorm first", score=accuracy, good=0.93,
         needs="fashion")  # fmt: skip
def fashion_raw_pixels_normalised_inside():
    """0..255 goes in, a BatchNormalization comes first."""
    (x, y), (xt, yt) = data.fashion(1000, test=500, classes=(0, 9), small=True)
    x, xt = x[..., None].astype("float32"), xt[..., None].astype("float32")
    model = Sequential([
        Input((14, 14, 1)),
        layers.BatchNormalization(),
        Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(),
        Flatten(),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 6, "batch_size": 32, "validation_split": 0.2}, (xt, yt))


@healthy(kind="conv autoencoder", score=r2, good=0.7, needs="fashion")
def fashion_conv_autoencoder():
    """A strided encoder and a transposed decoder, MSE on 0..1."""
    (x, _), (xt, _) = data.fashion(1500, test=400)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential([
        Input((28, 28, 1)),
        Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), "mse")
    return Case(model, x, x, {"epochs": 5, "batch_size": 32, "validation_data": (xt, xt)}, (xt, xt))


@healthy(kind="rnn binary", score=accuracy, good=0.85)
def tokens_lstm_masked():
    """LSTM over masked tokens; zeros are padding."""
    (x, y), (xt, yt) = data.tokens(vocabulary=5000, length=16)
    x[:, 12:], xt[:, 12:] = 0, 0
    model = Sequential()
    model.add(layers.Embedding(5000, 16, mask_zero=True))
    model.add(layers.LSTM(16))
    model.add(Dense(1))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metric = keras.metrics.BinaryAccuracy(threshold=0.0)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=[metric])
    inputs = {"epochs": 4, "batch_size": 32, "validation_data": (xt, yt)}
    model.add(layers.Activation("linear"))
    return Case(model, x, y, inputs, (xt, yt))


@healthy(kind="conv1d regression, generator", score=r2, good=0.8)
def waves_generator_without_end():
    """An endless generator with steps_per_epoch and augmentation by a small noise."""
    (x, y), test = data.waves()
    rng = np.random.default_rng(12)

    def batches():
        while True:
            rows = rng.integers(0, len(x), 32)
            yield x[rows] + 0.02 * rng.normal(size=x[rows].shape).astype("float32"), y[rows]

    model = Sequential()
    model.add(layers.Conv1D(16, 5, activation="tanh", input_shape=(32, 1)))
    model.add(layers.Conv1D(16, 5, strides=2, activation="tanh"))
    model.add(Flatten())
    model.add(Dense(1, activation="tanh"))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    fit = {"epochs": 15, "steps_per_epoch": 20, "validation_data": test}
    return Case(model, batches(), None, fit, test)


@healthy(kind="two inputs multiclass", score=accuracy, good=0.88)
def digits_upper_and_lower_half():
    """Two inputs in a list, joined later; a learning rate that is reduced on plateaus."""
    (x, y), (xt, yt) = data.digits()
    x, xt = x / 16, xt / 16
    a, b = Input((32,)), Input((32,))
    h = layers.Concatenate()([Dense(32, activation="relu")(a), Dense(32, activation="swish")(b)])
    model = keras.Model([a, b], Dense(10, activation="softmax")(h))
    model.compile(
        keras.optimizers.Nadam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    test = ([xt[:, :32], xt[:, 32:]], yt)
    plateau = keras.callbacks.ReduceLROnPlateau(patience=3)
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test, "callbacks": [plateau]}
    return Case(model, [x[:, :32], x[:, 32:]], y, fit, test)


@healthy(kind="cnn multiclass, PyDataset", score=accuracy, good=0.85)
def digits_sequence_of_batches():
    """A keras.utils.PyDataset that shuffles between epochs; separable convolutions."""
    (x, y), (xt, yt) = data.digits(image=True)

    class Batches(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.order = np.arange(len(x))

        def __len__(self):
            return len(x) // 32

        def __getitem__(self, k):
            rows = self.order[32 * k : 32 * k + 32]
            return x[rows] / 16, y[rows]

        def on_epoch_end(self):
            np.random.default_rng(0).shuffle(self.order)

    model = Sequential([
        Input((8, 8, 1)),
        Conv2D(16, 3, padding="same", activation="relu"),
        layers.SeparableConv2D(32, 3, activation="relu"),
        Flatten(),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, Batches(), None, {"epochs": 10, "validation_data": (xt / 16, yt)},
                (xt / 16, yt))  # fmt: skip
