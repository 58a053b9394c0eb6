"""Ordinary training scripts of a minute or more, for `doctor_cost.py`.

Run: python benchmarks/_doctor_scripts.py NAME SHARE  # share of the epochs: 1 for all

Each trains on scikit-learn's digits, drawn again with noise and shifts until there are as many as
a script of that kind takes, and does what its kind customarily does.
"""

import sys

import keras
import numpy as np
from keras import layers

SPARSE = "sparse_categorical_crossentropy"


def epochs(most):
    return max(1, round(most * float(sys.argv[2])))


def pictures(rows, size=8):
    """Digits of `size` x `size` pixels in 0..1, shifted and noisy, and their classes."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    images, classes = load_digits(return_X_y=True)
    pick = rng.integers(0, len(images), rows)
    x = (images[pick] / 16).reshape(-1, 8, 8).repeat(size // 8, 1).repeat(size // 8, 2)
    moves = rng.integers(-1, 2, (rows, 2))
    x = np.stack([np.roll(one, by, (0, 1)) for one, by in zip(x, moves, strict=True)])
    x = np.clip(x + 0.1 * rng.normal(size=x.shape), 0, 1)
    return x[..., None].astype("float32"), classes[pick]


def cnn_with_augmentation():
    x, y = pictures(6000, 32)
    model = keras.Sequential([
        keras.Input((32, 32, 1)), layers.RandomTranslation(0.1, 0.1), layers.RandomRotation(0.05),
        layers.Conv2D(24, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(48, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dropout(0.3), layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.fit(x, y, epochs=epochs(45), validation_split=0.2, verbose=2)


def perceptron():
    x, y = pictures(60_000)
    model = keras.Sequential([
        keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(512, activation="relu"),
        layers.Dropout(0.2), layers.Dense(512, activation="relu"), layers.Dropout(0.2),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.fit(x[:50_000], y[:50_000], batch_size=128, epochs=epochs(25), verbose=2,
              validation_data=(x[50_000:], y[50_000:]))  # fmt: skip


def lstm():
    x, y = pictures(10_000, 16)
    model = keras.Sequential([
        keras.Input((16, 16)), layers.LSTM(64, return_sequences=True), layers.LSTM(64),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.002), SPARSE, metrics=["accuracy"])
    model.fit(x[..., 0], y, batch_size=64, epochs=epochs(15), validation_split=0.1, verbose=2)


def resnet20_on_a_pipeline():
    import tensorflow as tf

    import kcnn

    x, y = pictures(1600, 32)

    def change(picture, label):
        return tf.image.random_brightness(picture, 0.1), label

    data = tf.data.Dataset.from_tensor_slices((x[:1280], y[:1280])).shuffle(1280).map(change)
    test = tf.data.Dataset.from_tensor_slices((x[1280:], y[1280:])).batch(64)
    model = kcnn.create_model("resnet20", classes=10, input_shape=(32, 32, 1))
    count = epochs(12)
    rate = keras.optimizers.schedules.CosineDecay(0.1, count * 40)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, metrics=["accuracy"])
    model.fit(data.batch(32).prefetch(2), epochs=count, validation_data=test, verbose=2)


def autoencoder():
    x, _ = pictures(4000, 32)
    model = keras.Sequential([
        keras.Input((32, 32, 1)),
        layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(24, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy")
    model.fit(
        x[:3600], x[:3600], epochs=epochs(80), validation_data=(x[3600:], x[3600:]), verbose=2
    )


class Clipped(keras.Model):
    """A step of one's own: gradients clipped by hand."""

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            out = self(x, training=True)
            loss = self.compute_loss(x, y, out)
        gradients = tape.gradient(loss, self.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, out)
        return {metric.name: metric.result() for metric in self.metrics}


def own_train_step():
    x, y = pictures(6000, 32)
    inputs = keras.Input((32, 32, 1))
    h = layers.Conv2D(24, 3, activation="relu")(inputs)
    h = layers.Conv2D(48, 3, strides=2, activation="relu")(h)
    h = layers.GlobalAveragePooling2D()(h)
    model = Clipped(inputs, layers.Dense(10, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.003), SPARSE, metrics=["accuracy"])
    model.fit(
        x[:5000], y[:5000], epochs=epochs(40), validation_data=(x[5000:], y[5000:]), verbose=2
    )


SCRIPTS = (
    cnn_with_augmentation, perceptron, lstm, resnet20_on_a_pipeline, autoencoder, own_train_step,
)  # fmt: skip

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    next(one for one in SCRIPTS if one.__name__ == sys.argv[1])()
