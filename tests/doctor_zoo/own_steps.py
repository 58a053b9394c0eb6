"""Models that train in a way of their own: `train_step`, `compute_loss`, `add_loss`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras.optimizers import Adam

from doctor_zoo.make import SPARSE, compiled, held, perceptron, pictures, setup, table


class OwnStep(keras.Model):
    """The train_step of Keras's guide."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mean_loss = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.mean_loss]

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}

    def test_step(self, data):
        x, y = data
        self.mean_loss.update_state(self.compute_loss(x, y, self(x)))
        return {"loss": self.mean_loss.result()}


@setup
def own_train_step():
    inputs = keras.Input((8,))
    model = OwnStep(inputs, layers.Dense(3, "softmax")(layers.Dense(32, "relu")(inputs)))
    return compiled(model, Adam(1e-2), SPARSE, []), *held(*table(), epochs=8)


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, parts):
        mean, log = parts
        noise = keras.random.normal(ops.shape(mean), seed=self.seed)
        return mean + ops.exp(0.5 * log) * noise


class Variational(keras.Model):
    """An autoencoder as in Keras's guide: no `call`, a loss of its own."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.total = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.total]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log, code = self.encoder(data)
            entropy = keras.losses.binary_crossentropy(data, self.decoder(code))
            divergence = -0.5 * ops.sum(1 + log - ops.square(mean) - ops.exp(log), 1)
            loss = ops.mean(ops.sum(entropy, (1, 2))) + ops.mean(divergence)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.total.update_state(loss)
        return {"loss": self.total.result()}


def variational():
    inputs = keras.Input((12, 12, 1))
    h = layers.Conv2D(16, 3, 2, padding="same", activation="relu")(inputs)
    h = layers.Dense(32, "relu")(layers.Flatten()(h))
    mean, log = layers.Dense(4)(h), layers.Dense(4)(h)
    code = keras.Input((4,))
    h = layers.Reshape((6, 6, 16))(layers.Dense(576, "relu")(code))
    h = layers.Conv2DTranspose(16, 3, 2, padding="same", activation="relu")(h)
    image = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(h)
    return Variational(
        keras.Model(inputs, [mean, log, Sampling()([mean, log])]), keras.Model(code, image)
    )


@setup
def variational_autoencoder():
    model = variational()
    model.compile(optimizer=Adam(3e-3))
    x = (pictures(500, channels=1)[0] > 0.55).astype("float32")
    return model, x, None, {"epochs": 10, "batch_size": 32}


class Distiller(keras.Model):
    """A student that learns from labels and from a teacher that stands still."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False

    def call(self, x, training=None):
        return self.student(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        taught = keras.losses.kl_divergence(self.teacher(x), y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight) + ops.mean(taught)


@setup
def distillation():
    x, y = table()
    teacher = compiled(perceptron((8,), 64), Adam(1e-2))
    teacher.fit(x[:480], y[:480], epochs=8, verbose=0)
    model = Distiller(perceptron((8,), 16), teacher)
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=12)


class Siamese(keras.Model):
    """Two inputs, one body, the contrastive loss in `train_step`."""

    def __init__(self, body):
        super().__init__()
        self.body, self.mean_loss = body, keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.mean_loss]

    def call(self, pair):
        apart = self.body(pair[0]) - self.body(pair[1])
        return ops.sqrt(ops.sum(ops.square(apart), -1) + 1e-6)

    def _loss(self, data):
        pair, same = data
        apart, same = self(pair), ops.cast(same, "float32")
        far = ops.square(ops.maximum(1.0 - apart, 0.0))
        return ops.mean(same * ops.square(apart) + (1 - same) * far)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self._loss(data)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}

    def test_step(self, data):
        self.mean_loss.update_state(self._loss(data))
        return {"loss": self.mean_loss.result()}


@setup
def contrastive_pairs():
    x, y = table(800)
    other = np.random.default_rng(1).permutation(800)
    model = Siamese(
        keras.Sequential([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(4)])
    )
    model.compile(optimizer=Adam(5e-3))
    same = (y == y[other]).astype(int)
    return model, (x, x[other]), same, {"epochs": 12, "batch_size": 32}


class Denoiser(keras.Model):
    """Noise of a random size is put in and predicted, as in diffusion."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seed = network, keras.random.SeedGenerator(1)
        self.noise_loss = keras.metrics.Mean(name="noise_loss")

    @property
    def metrics(self):
        return [self.noise_loss]

    def call(self, x):
        return self.network(x)

    def _loss(self, x):
        noise = keras.random.normal(ops.shape(x), seed=self.seed)
        size = keras.random.uniform((ops.shape(x)[0], 1, 1, 1), 0.1, 1.0, seed=self.seed)
        return ops.mean(ops.square(noise - self(ops.sqrt(1 - size) * x + ops.sqrt(size) * noise)))

    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = self._loss(x)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.noise_loss.update_state(loss)
        return {m.name: m.result() for m in self.metrics}


@setup
def denoising_diffusion():
    network = keras.Sequential([
        keras.Input((12, 12, 1)), layers.Conv2D(24, 3, padding="same", activation="swish"),
        layers.Conv2D(24, 3, padding="same", activation="swish"),
        layers.Conv2D(1, 3, padding="same"),
    ])  # fmt: skip
    model = Denoiser(network)
    model.compile(optimizer=Adam(3e-3))
    x = (pictures(500, channels=1)[0] - 0.5) * 3
    return model, x, None, {"epochs": 10, "batch_size": 32}


class Penalized(layers.Layer):
    def call(self, x):
        self.add_loss(1e-3 * ops.mean(ops.square(x)))
        return x


@setup
def a_layer_that_adds_a_loss():
    inputs = keras.Input((8,))
    h = Penalized()(layers.Dense(32, "relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(h))
    return compiled(model, Adam(1e-2)), *held(*table(), epochs=8)
