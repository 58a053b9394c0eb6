"""Texts and series: recurrent, convolutional and attention models, one answer or one a step."""

import keras
import numpy as np
from keras import layers
from keras.optimizers import Adam, AdamW

from doctor_zoo.make import SPARSE, compiled, held, sequential, setup, texts


def waves(n=600, steps=25, seed=3):
    rng = np.random.default_rng(seed)
    start, pace = rng.uniform(0, 6, (n, 1)), rng.uniform(0.2, 0.6, (n, 1))
    return np.sin(start + pace * np.arange(steps)).astype("float32")


@setup
def lstm_of_texts():
    model = keras.Sequential([
        keras.Input((16,), dtype="int32"), layers.Embedding(200, 16), layers.LSTM(16),
        layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    return compiled(model, Adam(1e-2), "binary_crossentropy"), *held(*texts(), epochs=10)


@setup
def gru_forecast():
    model = keras.Sequential([keras.Input((24, 1)), layers.GRU(24), layers.Dense(1)])
    model = compiled(model, Adam(1e-2), "mse", ["mae"])
    return model, *held(waves()[:, :24, None], waves()[:, 24], epochs=10)


@setup
def attention_of_texts():
    inputs = keras.Input((16,), dtype="int32")
    h = layers.Embedding(200, 16)(inputs)
    h = layers.LayerNormalization()(layers.Add()([h, layers.MultiHeadAttention(2, 8)(h, h)]))
    h = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(h))
    model = keras.Model(inputs, layers.Dense(2, "softmax")(h))
    return compiled(model, Adam(5e-3)), *held(*texts(), epochs=10)


@setup
def bidirectional_with_padding():
    x, y = texts()
    x = np.where(np.arange(16) < np.random.default_rng(1).integers(10, 17, (len(x), 1)), x, 0)
    model = sequential(
        (16,), layers.Embedding(200, 16, mask_zero=True), layers.Bidirectional(layers.GRU(12)),
        layers.Dropout(0.3), layers.Dense(1, "sigmoid"), dtype="int32",
    )  # fmt: skip
    return compiled(model, Adam(5e-3), "binary_crossentropy"), *held(x, y, epochs=10)


@setup
def convolution_of_series():
    x = waves(600, 48)
    slow = waves(600, 48, 4) * np.linspace(0, 1, 48)
    y = np.random.default_rng(1).integers(0, 2, 600)
    x = np.where(y[:, None] == 1, x, slow).astype("float32")[..., None]
    model = sequential(
        (48, 1), layers.Conv1D(16, 5, activation="relu"), layers.MaxPooling1D(),
        layers.Conv1D(32, 5, activation="relu"), layers.GlobalAveragePooling1D(),
        layers.Dense(2, "softmax"),
    )  # fmt: skip
    return compiled(model, Adam(5e-3)), *held(x, y, epochs=12)


@setup
def two_layers_of_lstm_with_dropout():
    model = sequential(
        (24, 1), layers.LSTM(24, return_sequences=True, dropout=0.1), layers.LSTM(24),
        layers.Dense(1),
    )  # fmt: skip
    x = waves()
    return compiled(model, Adam(5e-3), "mse", ["mae"]), *held(x[:, :24, None], x[:, 24], epochs=12)


def letters(n=500, length=20, kinds=8):
    """Each letter follows from the one before, mostly."""
    rng = np.random.default_rng(5)
    x = np.zeros((n, length + 1), int)
    x[:, 0] = rng.integers(0, kinds, n)
    for at in range(length):
        x[:, at + 1] = np.where(
            rng.random(n) < 0.9, (3 * x[:, at] + 1) % kinds, rng.integers(0, kinds, n)
        )
    return x[:, :-1], x[:, 1:]


@setup
def letter_by_letter():
    model = sequential(
        (20,), layers.Embedding(8, 16), layers.LSTM(32, return_sequences=True),
        layers.Dense(8, "softmax"), dtype="int32",
    )  # fmt: skip
    return compiled(model, Adam(1e-2)), *held(*letters(), epochs=8)


class Places(layers.Layer):
    def __init__(self, length, width, **kwargs):
        super().__init__(**kwargs)
        self.length, self.table = length, layers.Embedding(length, width)

    def call(self, x):
        return x + self.table(keras.ops.arange(self.length))

    def get_config(self):
        return {**super().get_config(), "length": self.length, "width": self.table.output_dim}


@setup
def causal_transformer():
    inputs = keras.Input((20,), dtype="int32")
    h = Places(20, 32)(layers.Embedding(8, 32)(inputs))
    n = layers.LayerNormalization()(h)
    h = layers.Add()([h, layers.MultiHeadAttention(2, 16)(n, n, use_causal_mask=True)])
    n = layers.LayerNormalization()(h)
    h = layers.Add()([h, layers.Dense(32)(layers.Dense(64, "gelu")(n))])
    model = keras.Model(inputs, layers.Dense(8)(layers.LayerNormalization()(h)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(model, AdamW(5e-3), loss), *held(*letters(), epochs=8)


@setup
def tags_of_words():
    x, _ = texts()
    model = sequential(
        (16,), layers.Embedding(200, 16),
        layers.Bidirectional(layers.LSTM(12, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3, "softmax")), dtype="int32",
    )  # fmt: skip
    tags = np.where(x < 10, 1, np.where(x < 20, 2, 0))
    return compiled(model, Adam(1e-2)), *held(x, tags, epochs=10)


@setup
def series_to_series():
    x = waves(500, 30)
    model = sequential(
        (20, 1), layers.GRU(32), layers.RepeatVector(10), layers.GRU(32, return_sequences=True),
        layers.TimeDistributed(layers.Dense(1)),
    )  # fmt: skip
    return compiled(model, Adam(1e-2), "mse", ["mae"]), *held(
        x[:, :20, None], x[:, 20:, None], epochs=15
    )


@setup
def question_and_text():
    x, y = texts()
    asked = np.random.default_rng(1).integers(0, 2, len(x))
    parts = [keras.Input((16,), dtype="int32"), keras.Input((1,), dtype="int32")]
    words = layers.Embedding(200, 16)(parts[0])
    query = layers.Embedding(2, 16)(parts[1])
    h = layers.Flatten()(layers.MultiHeadAttention(2, 8)(query, words))
    h = layers.Dense(32, "relu")(layers.Concatenate()([h, layers.Flatten()(query)]))
    model = compiled(keras.Model(parts, layers.Dense(2, "softmax")(h)), Adam(5e-3), SPARSE)
    return model, (x, asked[:, None]), y ^ asked, {"epochs": 20, "batch_size": 32}
