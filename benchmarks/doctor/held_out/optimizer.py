"""Step size, batch size and how long."""

import keras
import tensorflow as tf
from keras import layers
from keras.layers import GRU, BatchNormalization, Conv1D, Conv2D, Dense, Flatten, Input
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("lr_too_high", also=("dying_relu", "exploding_gradient"), kind="cnn multiclass",
         score=accuracy, good=0.74, needs="fashion")  # fmt: skip
def fashion_rmsprop_at_five_hundredths(faulty):
    """RMSprop(0.05): loss 2.4, accuracy 0.1, from a book where it was 0.001."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(Conv2D(16, (3, 3), strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    optimizer = keras.optimizers.RMSprop(0.05 if faulty else 0.001)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    fit = {"epochs": 7, "batch_size": 32, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@program("lr_too_high", kind="rnn regression", score=r2, good=0.8)
def waves_gru_overshoots(faulty):
    """The error of the GRU jumps between 0.5 and 5."""
    (x, y), test = data.waves(steps=20)
    model = Sequential()
    model.add(GRU(16, input_shape=(20, 1)))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(learning_rate=0.5 if faulty else 0.01), "mse")
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_data": test}, test)


@program("lr_too_high", also=("dying_relu",), kind="mlp multiclass", score=accuracy, good=0.92)
def wine_sgd_of_five(faulty):
    """I read 5 instead of .5e-1; accuracy 0.4 although the data are easy."""
    (x, y), test = data.wine()
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=13))
    model.add(Dense(16, activation="relu"))
    model.add(Dense(3, activation="softmax"))
    sgd = keras.optimizers.SGD(learning_rate=5.0 if faulty else 0.05, momentum=0.5)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 8, "validation_split": 0.2}, test)


@program("lr_too_low", also=("too_few_epochs",), kind="cnn multiclass", score=accuracy,
         good=0.7, needs="fashion")  # fmt: skip
def fashion_sgd_millionth(faulty):
    """SGD(lr=1e-5) because large rates are dangerous: 2.30 throughout."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    sgd = keras.optimizers.SGD(learning_rate=1e-5 if faulty else 0.02, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x, y, fit, (xt, yt))


@program("lr_too_low", also=("too_few_epochs",), kind="embedding binary", score=accuracy,
         good=0.85)  # fmt: skip
def tokens_adagrad_default(faulty):
    """optimizer="adagrad" as for sparse data; accuracy 0.52 after ten epochs."""
    (x, y), test = data.tokens(vocabulary=3000)
    model = Sequential()
    model.add(layers.Embedding(3000, 16))
    model.add(layers.GlobalAveragePooling1D())
    model.add(Dense(16, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    optimizer = "adagrad" if faulty else keras.optimizers.Adagrad(0.5)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 8, "batch_size": 16, "validation_data": test}, test)


@program("lr_too_low", also=("too_few_epochs",), kind="mlp regression", score=r2, good=0.8)
def friedman_adam_hundred_thousandth(faulty):
    """Adam(1e-5); the error goes down by one per cent an epoch."""
    (x, y), test = data.friedman()
    inputs = Input((10,))
    h = Dense(48, activation="relu")(Dense(48, activation="relu")(inputs))
    model = keras.Model(inputs, Dense(1)(h))
    model.compile(keras.optimizers.Adam(1e-5 if faulty else 5e-3), "mse", metrics=["mae"])
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_split": 0.2}, test)


@program("bad_batch_size", also=("too_few_epochs", "lr_too_low"), kind="cnn multiclass",
         score=accuracy, good=0.7, needs="fashion")  # fmt: skip
def fashion_batches_of_two_thousand(faulty):
    """A big batch for a big machine: 0.3 after eight epochs."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 7, "batch_size": 2000 if faulty else 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("bad_batch_size", "bad_normalization", kind="cnn multiclass, tf.data", score=accuracy,
         good=0.88)  # fmt: skip
def digits_dataset_batched_by_one(faulty):
    """dataset.batch(1) and BatchNormalization: training 0.3, validation 0.1."""
    (x, y), (xt, yt) = data.digits(image=True)
    x, y = x[:400], y[:400]
    train = tf.data.Dataset.from_tensor_slices((x / 16, y)).shuffle(800, seed=0)
    val = tf.data.Dataset.from_tensor_slices((xt / 16, yt)).batch(64)
    model = Sequential([
        Input((8, 8, 1)),
        Conv2D(16, 3, activation="relu"),
        Flatten(),
        Dense(32, use_bias=False),
        BatchNormalization(),
        layers.ReLU(),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 3 if faulty else 12, "validation_data": val}
    return Case(model, train.batch(1 if faulty else 32), None, fit, (xt / 16, yt))


@program("too_few_epochs", also=("lr_too_low", "bad_batch_size"), kind="cnn multiclass",
         score=accuracy, good=0.7, needs="fashion")  # fmt: skip
def fashion_one_epoch_of_sgd(faulty):
    """model.fit(x, y) with nothing else, and I expected more than 0.4."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential()
    model.add(Flatten(input_shape=(14, 14, 1)))
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 1 if faulty else 12, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("too_few_epochs", kind="conv1d regression", score=r2, good=0.8)
def waves_stopped_by_the_wrong_mode(faulty):
    """EarlyStopping waits for the loss to grow, so it stops after two epochs."""
    (x, y), test = data.waves()
    model = Sequential()
    model.add(Conv1D(8, 5, activation="relu", input_shape=(32, 1)))
    model.add(Conv1D(8, 5, strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(1))
    model.compile("adam", "mse")
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max" if faulty else "min", patience=2, restore_best_weights=True
    )
    fit = {"epochs": 25, "batch_size": 32, "validation_data": test, "callbacks": [stop]}
    return Case(model, x, y, fit, test)
