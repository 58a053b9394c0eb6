"""How it is trained and judged: order, metric, overfitting, regularization, leaks."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv1D, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from keras.models import Sequential

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, honest, kept, metric_tells, r2


@program("missing_shuffle", also=("overfitting", "preprocessing_mismatch"),
         kind="mlp multiclass, validation_split", score=accuracy, good=0.92, bad=0.75)  # fmt: skip
def wine_last_third_is_one_class(faulty):
    """validation_split=0.3 on the table as it comes: val_accuracy 0.0."""
    (x, y), test = data.wine()
    if faulty:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=13))
    model.add(Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 30, "batch_size": 8, "validation_split": 0.27}, test)


@program("missing_shuffle", kind="cnn multiclass, tf.data", score=accuracy, good=0.72,
         needs="fashion")  # fmt: skip
def fashion_dataset_in_folder_order(faulty):
    """from_tensor_slices over files sorted by class, and no shuffle."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    order = np.argsort(y, kind="stable")
    x, y = (x[order][..., None] / 255.0).astype("float32"), y[order]
    xt = (xt[..., None] / 255.0).astype("float32")
    train = tf.data.Dataset.from_tensor_slices((x, y))
    if not faulty:
        train = train.shuffle(2000, seed=3)
    val = tf.data.Dataset.from_tensor_slices((xt, yt)).batch(100)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train.batch(32), None, {"epochs": 6, "validation_data": val}, (xt, yt))


@program("wrong_metric", kind="conv1d regression", score=metric_tells(r2, "accuracy"), good=0.9,
         bad=0.4)  # fmt: skip
def waves_accuracy(faulty):
    """My forecast has an accuracy of 0.0000e+00, though the plot looks right."""
    (x, y), test = data.waves()
    inputs = Input((32, 1))
    h = Conv1D(16, 5, activation="relu")(inputs)
    h = Flatten()(Conv1D(16, 5, strides=2, activation="relu")(h))
    model = keras.Model(inputs, Dense(1)(h))
    model.compile("adam", "mse", metrics=["accuracy"] if faulty else ["mae"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 32, "validation_data": test}, test)


@program("wrong_metric", kind="mlp regression", score=metric_tells(r2, "correct"), good=0.9,
         bad=0.4)  # fmt: skip
def houses_exactly_right(faulty):
    """Share of exactly predicted prices: always 0."""
    (x, y), (xt, yt) = data.houses()
    y, yt = np.log(y) - 12.2, np.log(yt) - 12.2

    def correct(y_true, y_pred):
        hit = keras.ops.equal(y_true, y_pred) if faulty else keras.ops.abs(y_true - y_pred) < 0.5
        return keras.ops.mean(keras.ops.cast(hit, "float32"), axis=-1)

    model = Sequential([Input((8,)), Dense(48, activation="relu"), Dense(1)])
    model.compile(keras.optimizers.Adam(0.005), "mae", metrics=[correct])
    return Case(model, x, y, {"epochs": 25, "batch_size": 32, "validation_split": 0.2}, (xt, yt))


@program("overfitting", kind="cnn multiclass", score=kept, good=0.85, bad=0.75, needs="fashion")
def fashion_cnn_on_few_images(faulty):
    """Training 1.0, validation 0.72 and its loss doubles."""
    (x, y), (xt, yt) = data.fashion(250 if faulty else 1500, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(Flatten())
    model.add(Dense(128, activation="relu"))
    model.add(Dropout(0.0 if faulty else 0.5))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 60 if faulty else 7, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("overfitting", kind="mlp binary", score=kept, good=0.85, bad=0.75)
def noisy_table_learned_by_heart(faulty):
    """A weak signal in forty columns; val_loss rises from the fifth epoch on."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(900, 40)).astype("float32")
    y = (x[:, :3].sum(1) + 2 * rng.normal(size=900) > 0).astype(int)
    (x, y), test = data.split(x, y)
    model = Sequential()
    model.add(Dense(128 if faulty else 8, activation="relu", input_dim=40))
    model.add(Dropout(0.0 if faulty else 0.5))
    model.add(Dense(64 if faulty else 8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    epochs = 40 if faulty else 12
    return Case(model, x, y, {"epochs": epochs, "batch_size": 32, "validation_data": test}, test)


@program("excessive_regularization", kind="mlp regression", score=r2, good=0.7)
def friedman_noise_on_every_layer(faulty):
    """GaussianNoise for robustness; predictions are all near the mean."""
    (x, y), (xt, yt) = data.friedman()
    x, xt = 0.2 * x, 0.2 * xt
    noise = 1.0 if faulty else 0.01
    model = Sequential()
    model.add(layers.GaussianNoise(noise, input_shape=(10,)))
    model.add(Dense(64, activation="relu"))
    model.add(layers.GaussianNoise(noise))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
    return Case(
        model, x, y, {"epochs": 20, "batch_size": 64, "validation_data": (xt, yt)}, (xt, yt)
    )


@program("excessive_regularization", kind="mlp multiclass", score=accuracy, good=0.9)
def digits_l1_of_a_tenth(faulty):
    """kernel_regularizer="l1" with a strength from another paper: loss 2.30 again."""
    (x, y), (xt, yt) = data.digits()
    penalty = keras.regularizers.L1(0.1 if faulty else 1e-5)
    model = Sequential()
    model.add(Dense(64, activation="relu", kernel_regularizer=penalty, input_shape=(64,)))
    model.add(Dense(32, activation="relu", kernel_regularizer=penalty))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("data_leak", also=("overfitting",), kind="mlp multiclass", score=honest, good=0.88,
         bad=0.85)  # fmt: skip
def noisy_digits_validated_on_themselves(faulty):
    """validation_data=(x_train, y_train), a slip of copy and paste."""
    (x, y), (xt, yt) = data.digits()
    rng = np.random.default_rng(7)
    wrong = rng.random(len(y)) < 0.25
    y = np.where(wrong, rng.integers(0, 10, len(y)), y)
    wrong = rng.random(len(yt)) < 0.25
    yt = np.where(wrong, rng.integers(0, 10, len(yt)), yt)
    val = (x / 16, y) if faulty else (x[:300] / 16, y[:300])
    if not faulty:
        x, y = x[300:], y[300:]
    model = Sequential()
    model.add(Dense(256, activation="relu", input_shape=(64,)))
    model.add(Dense(128, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    fit = {"epochs": 15, "batch_size": 32, "validation_data": val, "callbacks": [stop]}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("data_leak", also=("overfitting",), kind="cnn multiclass, tf.data", score=honest,
         good=0.88, bad=0.86, needs="fashion")  # fmt: skip
def fashion_take_without_skip(faulty):
    """dataset.take(n) for validation, and the whole dataset for training."""
    (x, y), (xt, yt) = data.fashion(1200, small=True)
    x, xt = (x[..., None] / 255.0).astype("float32"), (xt[..., None] / 255.0).astype("float32")
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    val = whole.take(300).batch(50)
    train = (whole if faulty else whole.skip(300)).shuffle(1200, seed=1).batch(16)
    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(Flatten())
    model.add(Dense(96, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    fit = {"epochs": 15, "validation_data": val, "callbacks": [stop]}
    return Case(model, train, None, fit, (xt, yt))
