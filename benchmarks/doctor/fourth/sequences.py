"""Series and texts."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv1D, Dense, Embedding, GlobalAveragePooling1D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, kept
from benchmarks.doctor.fourth import _data as data

SPARSE = "sparse_categorical_crossentropy"


def attention(classes, *, width=32, blocks=1, dropout=0.1):
    inputs = Input((40,), dtype="int32")
    h = Embedding(3000, width)(inputs)
    for _ in range(blocks):
        a = layers.MultiHeadAttention(2, width // 2, dropout=dropout)(h, h)
        h = layers.LayerNormalization()(layers.Add()([h, layers.Dropout(dropout)(a)]))
        f = layers.Dropout(dropout)(Dense(width)(Dense(2 * width, activation="relu")(h)))
        h = layers.LayerNormalization()(layers.Add()([h, f]))
    h = layers.Dropout(dropout)(GlobalAveragePooling1D()(h))
    return keras.Model(inputs, Dense(classes, activation="softmax")(h))


@program("label_misalignment", kind="transformer, texts, tf.data", score=accuracy, good=0.7,
         bad=0.4)  # fmt: skip
def texts_and_classes_shuffled_apart(faulty):
    """Two data sets, each shuffled, then zipped; it learns by heart and knows nothing."""
    (x, y), test = data.notes(1600)
    slices = tf.data.Dataset.from_tensor_slices
    if faulty:
        train = tf.data.Dataset.zip(
            (slices(x).shuffle(1600, seed=1), slices(y).shuffle(1600, seed=2))
        )
    else:
        train = slices((x, y)).shuffle(1600, seed=1)
    model = attention(5)
    model.compile(keras.optimizers.Adam(0.003), SPARSE, metrics=["accuracy"])
    return Case(model, train.batch(32), None, {"epochs": 6, "validation_data": test}, test)


@program("excessive_regularization", kind="transformer, texts", score=accuracy, good=0.7, bad=0.5)
def attention_with_nearly_all_dropped(faulty):
    """dropout=0.95: I took the rate for the share that is kept."""
    (x, y), test = data.notes(1600)
    model = attention(5, blocks=2, dropout=0.95 if faulty else 0.05)
    model.compile(keras.optimizers.Adam(0.003), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("overfitting", kind="embedding, texts", score=kept, good=0.8, bad=0.65)
def few_notes_many_epochs(faulty):
    """150 texts, 80 epochs: training 1.00, validation loss three times its best."""
    (x, y), test = data.notes(150 if faulty else 1500)
    model = Sequential([
        Input((40,), dtype="int32"),
        Embedding(3000, 48),
        layers.Flatten(),
        Dense(64, activation="relu"),
        Dense(5, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.003), SPARSE, metrics=["accuracy"])
    epochs = {"epochs": 80 if faulty else 4}
    return Case(model, x, y, {**epochs, "batch_size": 32, "validation_data": test}, test)


@program("missing_hidden_activation", kind="1-D cnn, 3 series", score=accuracy, good=0.7, bad=0.6)
def motions_through_linear_filters(faulty):
    """Four Conv1D layers on accelerations; sine and its absolute value are the same to it."""
    (x, y), test = data.strolls(2000)
    act = "linear" if faulty else "relu"
    model = Sequential([
        Input((48, 3)),
        Conv1D(24, 7, activation=act),
        Conv1D(24, 5, strides=2, activation=act),
        Conv1D(24, 5, activation=act),
        GlobalAveragePooling1D(),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.004), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("unnormalized_inputs", also=("vanishing_gradient", "lr_too_low"), kind="gru, 3 series",
         score=accuracy, good=0.65, bad=0.55)  # fmt: skip
def motions_in_raw_counts(faulty):
    """The sensor counts from 0 to 4095; the GRU stays at one in three."""
    (x, y), (xt, yt) = data.strolls(1600)
    if faulty:
        x, xt = ((2048 + 500 * part).clip(0, 4095) for part in (x, xt))
    model = Sequential([Input((48, 3)), layers.GRU(32), Dense(4, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.005), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("missing_shuffle", kind="1-D cnn, 3 series", score=accuracy, good=0.6, bad=0.5)
def motions_by_the_day(faulty):
    """Recorded one kind a day, concatenated, validation_split=0.25."""
    (x, y), test = data.strolls(2000)
    if faulty:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    model = Sequential([
        Input((48, 3)),
        Conv1D(24, 7, strides=2, activation="relu"),
        Conv1D(32, 5, strides=2, activation="relu"),
        GlobalAveragePooling1D(),
        Dense(4, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.005), SPARSE, metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 8, "batch_size": 32, "validation_split": 0.25}, test)
