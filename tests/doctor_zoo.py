"""Ordinary set-ups as papers and tutorials have them, small: the doctor has nothing to say of them.

Each function returns `(model, x, y, fit)`, compiled; `ZOO` holds them by name.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.optimizers import SGD, Adam, AdamW, RMSprop
from keras.optimizers.schedules import CosineDecay

SPARSE = "sparse_categorical_crossentropy"
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ZOO = {}


def setup(make):
    ZOO[make.__name__] = make
    return make


def pictures(n=480, classes=10, side=12, channels=3, seed=0):
    """Noisy prototypes in 0..1, moved by a pixel or two."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(classes, side // 3, side // 3, channels))
    kinds = np.kron(kinds, np.ones((1, 3, 3, 1)))
    y = rng.integers(0, classes, n)
    x = np.stack([np.roll(kinds[k], rng.integers(-1, 2, 2), (0, 1)) for k in y])
    x = 0.5 + 0.18 * (x + 0.5 * rng.normal(size=x.shape))
    return np.clip(x, 0, 1).astype("float32"), y


def table(n=600, columns=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    centers = 1.5 * rng.normal(size=(classes, columns))
    return (centers[y] + rng.normal(size=(n, columns))).astype("float32"), y


def texts(n=600, words=200, length=16, seed=0):
    """Class 1 holds a few words of its own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.integers(20, words, (n, length))
    for row, label in enumerate(y):
        x[row, rng.integers(0, length, 4)] = 10 * label + rng.integers(1, 6, 4)
    return x, y


def compiled(model, optimizer, loss=SPARSE, metrics=("accuracy",), **more):
    model.compile(optimizer, loss, metrics=list(metrics), **more)
    return model


def held(x, y, epochs=8, batch=32, part=0.2, **more):
    """The last rows as validation data."""
    cut = int(len(y) * (1 - part))
    fit = {"epochs": epochs, "batch_size": batch, "validation_data": (x[cut:], y[cut:])}
    return x[:cut], y[:cut], {**fit, **more}


def batch_norm():
    return layers.BatchNormalization(momentum=0.9)  # as in the papers; runs here are short


def residual(norm=batch_norm, classes=10, width=16, end=None):
    inputs = keras.Input((12, 12, 3))
    h = layers.ReLU()(norm()(layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)))
    for filters, stride in ((width, 1), (2 * width, 2)):
        short = h
        b = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(h)
        b = layers.ReLU()(norm()(b))
        b = norm()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(b))
        if stride > 1:
            short = norm()(layers.Conv2D(filters, 1, stride, use_bias=False)(h))
        h = layers.ReLU()(layers.Add()([short, b]))
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(inputs, layers.Dense(classes, activation=end)(h))


def perceptron(shape, *widths, units=3, end="softmax"):
    body = [layers.Dense(width, "relu") for width in widths]
    return keras.Sequential([keras.Input(shape), *body, layers.Dense(units, end)])


@setup
def resnet_sgd_cosine():
    model = residual()
    rate = CosineDecay(0.1, 12 * 10)
    return compiled(model, SGD(rate, momentum=0.9, weight_decay=5e-4), LOGITS), *held(
        *pictures(), epochs=10
    )


@setup
def resnet_group_norm_nesterov():
    model = residual(lambda: layers.GroupNormalization(8))
    return compiled(model, SGD(0.05, momentum=0.9, nesterov=True), LOGITS), *held(*pictures())


@setup
def vit_adamw_warmup():
    inputs = keras.Input((12, 12, 3))
    h = layers.Reshape((16, 32))(layers.Conv2D(32, 3, 3)(inputs))
    for _ in range(2):
        n = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.MultiHeadAttention(2, 16)(n, n)])
        n = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.Dense(32)(layers.Dense(64, "gelu")(n))])
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    model = keras.Model(inputs, layers.Dense(10)(h))
    rate = CosineDecay(0.0, 200, warmup_target=2e-3, warmup_steps=30)
    return compiled(model, AdamW(rate, weight_decay=0.05), LOGITS), *held(*pictures(), epochs=16)


@setup
def plain_cnn_adam():
    model = keras.Sequential([
        keras.Input((12, 12, 3)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(64, "relu"),
        layers.Dropout(0.5), layers.Dense(10, "softmax"),
    ])  # fmt: skip
    return compiled(model, "adam"), *held(*pictures(), epochs=12)


@setup
def fine_tuning_at_1e_5():
    x, y = pictures()
    model = compiled(residual(), Adam(1e-2), LOGITS)
    model.fit(x[:380], y[:380], epochs=8, verbose=0)
    return compiled(model, Adam(1e-5), LOGITS), *held(x, y, epochs=3)


@setup
def linear_probe():
    x, y = pictures()
    body = compiled(residual(), Adam(1e-2), LOGITS)
    body.fit(x[:380], y[:380] % 5, epochs=8, verbose=0)
    body.trainable = False
    frozen = keras.Model(body.inputs, body.layers[-2].output)
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(frozen(inputs, training=False)))
    return compiled(model, Adam(3e-2)), *held(x, y, epochs=15)


@setup
def label_smoothing():
    x, y = pictures()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model = compiled(residual(end="softmax"), Adam(3e-3), loss)
    return model, *held(x, np.eye(10, dtype="float32")[y])


@setup
def mixup():
    x, y = pictures()
    x, y, fit = held(x, np.eye(10, dtype="float32")[y], epochs=12)

    def mix(a, b):
        share = tf.random.uniform((tf.shape(a)[0], 1, 1, 1), 0.6, 1.0)
        other = tf.random.shuffle(tf.range(tf.shape(a)[0]))
        flat = tf.reshape(share, (-1, 1))
        return (
            share * a + (1 - share) * tf.gather(a, other),
            flat * b + (1 - flat) * tf.gather(b, other),
        )

    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(400).batch(32).map(mix)
    fit.pop("batch_size")
    return (
        compiled(residual(end="softmax"), Adam(5e-3), "categorical_crossentropy"),
        data,
        None,
        fit,
    )


@setup
def class_weights():
    x, y = table(classes=2)
    keep = (y == 0) | (np.arange(len(y)) % 4 == 0)
    model = compiled(perceptron((8,), 32, units=2), Adam(1e-2))
    return model, *held(x[keep], y[keep], epochs=10, class_weight={0: 1.0, 1: 4.0})


@setup
def a_hundred_classes():
    x, y = table(2000, 24, 100)
    return compiled(perceptron((24,), 128, units=100), Adam(5e-3)), *held(x, y, epochs=12)


@setup
def class_ids_with_gaps():
    x, y = table(1200, 12, 20)
    ids = np.sort(np.random.default_rng(1).choice(1000, 20, replace=False))[y]
    return compiled(perceptron((12,), 64, units=1000), Adam(5e-3)), *held(x, ids, epochs=12)


@setup
def heavy_tailed_regression():
    x, _ = table(800)
    rng = np.random.default_rng(2)
    y = (x[:, 0] + np.abs(x[:, 1]) + 0.2 * rng.standard_t(2, len(x))).astype("float32")
    model = compiled(perceptron((8,), 64, units=1, end=None), Adam(5e-3), "huber", ["mae"])
    return model, *held(x, y, epochs=15)


@setup
def prices():
    x, _ = table(800)
    y = (3 * np.exp(0.3 * x[:, 0] - 0.2 * x[:, 1] * (x[:, 2] > 0))).astype("float32")
    model = compiled(perceptron((8,), 64, 64, units=1, end=None), Adam(5e-3), "mse", ["mae"])
    return model, *held(x, y, epochs=40)


@setup
def segmentation():
    x, _ = pictures(320)
    y = (x.mean(-1) > 0.55).astype(int)
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    d = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(h))
    h = layers.Concatenate()([h, layers.UpSampling2D()(d)])
    model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(h))
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=25, batch=16)


@setup
def autoencoder():
    x, _ = pictures(400)
    x = x.reshape(len(x), -1)
    model = perceptron((432,), 64, 16, 64, units=432, end="sigmoid")
    return compiled(model, Adam(3e-3), "mse", []), *held(x, x, epochs=25)


@setup
def two_outputs():
    x, y = table(800)
    inputs = keras.Input((8,))
    h = layers.Dense(64, "relu")(inputs)
    ends = {
        "kind": layers.Dense(3, "softmax", name="kind")(h),
        "size": layers.Dense(1, name="size")(h),
    }
    model = keras.Model(inputs, ends)
    model.compile(Adam(5e-3), {"kind": SPARSE, "size": "mse"}, metrics={"kind": ["accuracy"]})
    size = (x[:, 0] - 0.5 * x[:, 1]).astype("float32")
    return model, x, {"kind": y, "size": size}, {"epochs": 15, "batch_size": 32}


@setup
def two_inputs():
    x, y = table(800)
    parts = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    h = layers.Concatenate()([layers.Dense(16, "relu")(part) for part in parts.values()])
    model = compiled(keras.Model(parts, layers.Dense(3, "softmax")(h)), Adam(1e-2))
    return model, {"left": x[:, :4], "right": x[:, 4:]}, y, {"epochs": 12, "batch_size": 32}


@setup
def lstm_of_texts():
    model = keras.Sequential([
        keras.Input((16,), dtype="int32"), layers.Embedding(200, 16), layers.LSTM(16),
        layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    return compiled(model, Adam(1e-2), "binary_crossentropy"), *held(*texts(), epochs=10)


@setup
def gru_forecast():
    rng = np.random.default_rng(3)
    start, pace = rng.uniform(0, 6, (600, 1)), rng.uniform(0.2, 0.6, (600, 1))
    waves = np.sin(start + pace * np.arange(25)).astype("float32")
    model = keras.Sequential([keras.Input((24, 1)), layers.GRU(24), layers.Dense(1)])
    model = compiled(model, Adam(1e-2), "mse", ["mae"])
    return model, *held(waves[:, :24, None], waves[:, 24], epochs=10)


@setup
def attention_of_texts():
    inputs = keras.Input((16,), dtype="int32")
    h = layers.Embedding(200, 16)(inputs)
    h = layers.LayerNormalization()(layers.Add()([h, layers.MultiHeadAttention(2, 8)(h, h)]))
    h = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(h))
    model = keras.Model(inputs, layers.Dense(2, "softmax")(h))
    return compiled(model, Adam(5e-3)), *held(*texts(), epochs=10)


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


@setup
def several_labels():
    x, y = table(800)
    bits = np.stack([y == 0, x[:, 0] > 0, x[:, 1] + x[:, 2] > 0], 1).astype("float32")
    model = compiled(
        perceptron((8,), 64, units=3, end="sigmoid"), Adam(5e-3), "binary_crossentropy",
        ["binary_accuracy"],
    )  # fmt: skip
    return model, *held(x, bits, epochs=12)


@setup
def logits_of_two_classes():
    x, y = table(classes=2)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled(perceptron((8,), 32, units=1, end=None), RMSprop(5e-3), loss), *held(
        x, y, epochs=8
    )


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
def augmented():
    model = keras.Sequential([
        keras.Input((12, 12, 3)), layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(10, "softmax"),
    ])  # fmt: skip
    return compiled(model, Adam(3e-3)), *held(*pictures(), epochs=14)


@setup
def endless_stream():
    x, y, fit = held(*table(), epochs=8)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(480).repeat().batch(32)
    fit["steps_per_epoch"] = 15
    fit.pop("batch_size")
    return compiled(perceptron((8,), 32), Adam(1e-2)), data, None, fit
