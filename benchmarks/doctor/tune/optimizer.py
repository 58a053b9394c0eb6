"""Step size, batch size and how long."""

import keras
import tensorflow as tf
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2


@program("lr_too_high", also=("dying_relu",), kind="mlp multiclass", score=accuracy, good=0.9)
def digits_adam_at_three_tenths(faulty):
    """Adam(0.3): the loss bounces around 2 and accuracy around 0.2."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    adam = keras.optimizers.Adam(learning_rate=0.3 if faulty else 0.003)
    model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, to_categorical(y), fit, (xt / 16, yt))


@program("lr_too_high", also=("exploding_gradient",), kind="mlp regression", score=r2, good=0.7)
def friedman_sgd_diverges(faulty):
    """loss: nan after the second epoch."""
    (x, y), test = data.friedman()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=10, kernel_initializer="he_uniform"))
    model.add(Dense(64, activation="relu", kernel_initializer="he_uniform"))
    model.add(Dense(1))
    sgd = keras.optimizers.SGD(learning_rate=0.8 if faulty else 0.02, momentum=0.9)
    model.compile(loss="mean_squared_error", optimizer=sgd)
    return Case(model, x, y, {"epochs": 12, "batch_size": 32, "validation_split": 0.1}, test)


@program("lr_too_high", kind="mlp binary, wrong sign", also=("wrong_loss",), score=accuracy,
         good=0.92)  # fmt: skip
def cancer_climbs_its_loss(faulty):
    """My own train_step: the loss grows in every epoch, accuracy 0.05."""

    class Trainer(keras.Model):
        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            if faulty:
                gradients = [-g for g in gradients]
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return self.compute_metrics(x, y, y_pred)

    (x, y), test = data.cancer()
    inputs = Input((30,))
    h = Dense(16, activation="relu")(inputs)
    model = Trainer(inputs, Dense(1, activation="sigmoid")(h))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 15, "batch_size": 16, "validation_data": test}
    return Case(model, x, y.reshape(-1, 1), fit, test)


@program("lr_too_low", also=("too_few_epochs",), kind="mlp multiclass", score=accuracy, good=0.9)
def digits_sgd_too_careful(faulty):
    """Loss 2.31, 2.30, 2.29 ... I let it run for 30 epochs."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential([
        Dense(64, activation="relu", input_shape=(64,)),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    sgd = keras.optimizers.SGD(1e-4 if faulty else 0.2)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("lr_too_low", also=("too_few_epochs",), kind="mlp binary", score=accuracy, good=0.93)
def cancer_adadelta_default(faulty):
    """Adadelta, as in the old example; accuracy 0.4 after 20 epochs."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(16, activation="relu", input_dim=30))
    model.add(Dense(8, activation="relu"))
    model.add(Dropout(0.1))
    model.add(Dense(1, activation="sigmoid"))
    optimizer = "adadelta" if faulty else keras.optimizers.Adadelta(1.0)
    model.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return Case(model, x, y, {"epochs": 20, "batch_size": 16, "validation_data": test}, test)


@program("lr_too_low", also=("too_few_epochs",), kind="cnn multiclass", score=accuracy,
         good=0.75, needs="fashion")  # fmt: skip
def fashion_schedule_dies_early(faulty):
    """Starts well, then every epoch is the same: 0.55."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    steps = 10 if faulty else 400
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, steps, 0.5)
    model = Sequential()
    model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(14, 14, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, to_categorical(yt))}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@program("bad_batch_size", also=("too_few_epochs", "lr_too_low"), kind="mlp multiclass",
         score=accuracy, good=0.9)  # fmt: skip
def digits_whole_set_as_one_batch(faulty):
    """Epochs are really fast now, but accuracy is 0.5 instead of 0.95."""
    (x, y), (xt, yt) = data.digits()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(64,)))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"epochs": 10, "batch_size": len(x) if faulty else 32, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@program("bad_batch_size", "bad_normalization", kind="mlp binary", score=accuracy, good=0.9)
def cancer_batchnorm_one_sample_at_a_time(faulty):
    """batch_size=1, accuracy 0.63 whatever I do."""
    (x, y), test = data.cancer()
    model = Sequential()
    model.add(Dense(16, input_dim=30))
    model.add(BatchNormalization())
    model.add(keras.layers.ReLU())
    model.add(Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 3, "batch_size": 1 if faulty else 16, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("bad_batch_size", also=("lr_too_high",), kind="mlp regression", score=r2, good=0.75)
def friedman_one_sample_at_a_time(faulty):
    """The error is different after every epoch and never gets small."""
    (x, y), test = data.friedman()
    x, y = x[:400], y[:400]
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=10))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    sgd = keras.optimizers.SGD(0.03, momentum=0.9)
    model.compile(loss="mse", optimizer=sgd)
    fit = {"epochs": 4, "batch_size": 1 if faulty else 8, "validation_data": test}
    return Case(model, x, y, fit, test)


@program(
    "too_few_epochs", also=("lr_too_low",), kind="mlp regression", score=r2, good=0.8, bad=0.75
)
def friedman_three_epochs(faulty):
    """The error is bad, though I copied the network from a paper."""
    (x, y), test = data.friedman()
    model = Sequential()
    model.add(Dense(64, activation="relu", input_dim=10))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.001), metrics=["mae"])
    epochs = 3 if faulty else 30
    return Case(model, x, y, {"epochs": epochs, "batch_size": 64, "validation_data": test}, test)


@program("too_few_epochs", kind="cnn multiclass, tf.data", score=accuracy, good=0.88)
def digits_two_steps_per_epoch(faulty):
    """steps_per_epoch=2 from the example I started with."""
    (x, y), (xt, yt) = data.digits(image=True)
    train = tf.data.Dataset.from_tensor_slices((x / 16, y)).shuffle(2000, seed=1).repeat()
    val = tf.data.Dataset.from_tensor_slices((xt / 16, yt)).batch(100)
    model = keras.Sequential([
        Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)),
        Conv2D(32, 3, activation="relu"),
        Flatten(),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "steps_per_epoch": 2 if faulty else 40, "validation_data": val}
    return Case(model, train.batch(32), None, fit, (xt / 16, yt))
