"""Ways of training: precision, compilation, accumulation, schedules, callbacks, streams."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.optimizers import SGD, Adadelta, Adam, Lion
from keras.optimizers.schedules import CosineDecayRestarts, ExponentialDecay

from doctor_zoo.make import compiled, held, perceptron, pictures, sequential, setup, table


@setup
def mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = keras.Sequential([
        keras.Input((8,)), layers.Dense(64, "relu"), layers.Dense(3),
        layers.Activation("softmax", dtype="float32"),
    ])  # fmt: skip
    return compiled(model, Adam(5e-3)), *held(*table(), epochs=10)


@setup
def gradient_accumulation():
    model = perceptron((8,), 32)
    return compiled(model, Adam(1e-2, gradient_accumulation_steps=4)), *held(
        *table(), epochs=15, batch=8
    )


@setup
def jit_compiled():
    return compiled(perceptron((8,), 32), Adam(1e-2), jit_compile=True), *held(*table(), epochs=8)


@setup
def several_steps_per_execution():
    return compiled(perceptron((8,), 32), Adam(1e-2), steps_per_execution=5), *held(
        *table(), epochs=8
    )


@setup
def mirrored_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = compiled(perceptron((8,), 32), Adam(1e-2))
    return model, *held(*table(), epochs=8)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.end = layers.Dense(32, "relu"), layers.Dense(3, "softmax")

    def call(self, x):
        return self.end(self.hidden(x))


@setup
def subclassed():
    return compiled(Subclassed(), Adam(1e-2)), *held(*table(), epochs=8)


@setup
def endless_stream():
    x, y, fit = held(*table(), epochs=8)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(480).repeat().batch(32)
    fit["steps_per_epoch"] = 15
    fit.pop("batch_size")
    return compiled(perceptron((8,), 32), Adam(1e-2)), data, None, fit


@setup
def exponential_decay():
    rate = ExponentialDecay(1e-2, 15, 0.9)
    return compiled(perceptron((8,), 32), Adam(rate)), *held(*table(), epochs=10)


@setup
def warm_restarts():
    rate = CosineDecayRestarts(0.05, 30)
    return compiled(perceptron((8,), 32), SGD(rate, momentum=0.9)), *held(*table(), epochs=12)


@setup
def plateau_and_early_stopping():
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(patience=3, factor=0.3),
        keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True),
    ]
    return compiled(perceptron((8,), 32), Adam(1e-2)), *held(
        *table(), epochs=20, callbacks=callbacks
    )


@setup
def clipped_with_moving_average_weights():
    optimizer = Adam(1e-2, clipnorm=1.0, use_ema=True, ema_momentum=0.9)
    return compiled(perceptron((8,), 32), optimizer), *held(*table(), epochs=10)


@setup
def lion():
    return compiled(perceptron((8,), 64), Lion(5e-4, weight_decay=1e-2)), *held(*table(), epochs=15)


@setup
def adadelta():
    return compiled(perceptron((8,), 64), Adadelta(1.0)), *held(*table(), epochs=15)


@setup
def eager():
    return compiled(perceptron((8,), 32), Adam(1e-2), run_eagerly=True), *held(*table(), epochs=6)


@setup
def half_precision_images():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = sequential(
        (12, 12, 3), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(10, "softmax", dtype="float32"),
    )  # fmt: skip
    return compiled(model, Adam(5e-3)), *held(*pictures(), epochs=15)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size=32):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, at):
        part = slice(at * self.size, (at + 1) * self.size)
        return self.x[part], self.y[part]


@setup
def batches_by_number():
    x, y, fit = held(*table(), epochs=8)
    fit.pop("batch_size")
    fit["validation_data"] = Batches(*fit["validation_data"])
    return compiled(perceptron((8,), 32), Adam(1e-2)), Batches(x, y), None, fit


@setup
def endless_generator():
    x, y = table()

    def batches():
        rng = np.random.default_rng(0)
        while True:
            pick = rng.integers(0, 480, 32)
            yield x[pick], y[pick]

    fit = {"epochs": 8, "steps_per_epoch": 15, "validation_data": (x[480:], y[480:])}
    return compiled(perceptron((8,), 32), Adam(1e-2)), batches(), None, fit


@setup
def large_batches_linearly_scaled():
    x, y = table(4000)
    return compiled(perceptron((8,), 64), SGD(0.2, momentum=0.9)), *held(x, y, epochs=8, batch=256)


@setup
def trained_in_two_calls():
    x, y = table()
    model = compiled(perceptron((8,), 32), Adam(1e-2))
    model.fit(x[:480], y[:480], epochs=4, verbose=0)
    return model, *held(x, y, epochs=8, initial_epoch=4)


@setup
def quantized_part():
    body = keras.Sequential([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(16, "relu")])
    x, y = table()
    whole = compiled(keras.Sequential([body, layers.Dense(3, "softmax")]), Adam(1e-2))
    whole.fit(x[:480], y[:480], epochs=5, verbose=0)
    body.trainable = False
    body.quantize("int8")
    model = keras.Sequential([keras.Input((8,)), body, layers.Dense(3, "softmax")])
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=10)
