"""Programs without a fault, of real size or with the habits of real training."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras.layers import Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, balanced_accuracy, r2
from benchmarks.doctor.sealed import _data as data
from benchmarks.doctor.sealed._score import in_parts, overlap, worst
from benchmarks.doctor.sealed.masks import unet
from benchmarks.doctor.sealed.residual import pretrained, resnet
from benchmarks.doctor.sealed.sequences import transformer
from benchmarks.doctor.sealed.streams import Batches

right = in_parts(accuracy)


@healthy(kind="ResNet-50 in small, cosine", score=right, good=0.4, needs="fashion")
def resnet50_sgd_cosine():
    """SGD 0.1 with momentum and a cosine, weight decay, batches of 32."""
    (x, y), (xt, yt) = data.clothes(800, test=200, size=56)
    model = resnet((3, 4, 6, 3), 8, size=56, expand=2)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 25 * 7)
    sgd = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=5e-4)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 7, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="transformer, AdamW with warmup", score=accuracy, good=0.7)
def attention_with_warmup():
    """A rate that starts at zero, rises for 60 steps and falls again."""
    (x, y), (xt, yt) = data.reviews(2400, classes=3)
    x, xt = data.padded(x), data.padded(xt)
    rate = keras.optimizers.schedules.CosineDecay(0.0, 300, warmup_target=2e-3, warmup_steps=60)
    model = transformer(3)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
                  "sparse_categorical_crossentropy", metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 5, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="fine-tuning, 56 px", score=right, good=0.55, needs="fashion")
def fine_tuning_gently():
    """All layers of a pretrained network at 2e-5, which is right here."""
    (x, y), (xt, yt) = data.clothes(1500, test=300, size=56)
    base = pretrained(56, x, y)
    model = Sequential([base, Dense(10, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    base.trainable = False
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=4, batch_size=32, verbose=0)
    base.trainable = True
    model.compile(keras.optimizers.Adam(2e-5), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 5, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="linear probe, 96 px", score=right, good=0.5, needs="fashion")
def probe_on_frozen_backbone():
    """A frozen backbone that knows the ten classes, and a new last layer."""
    (x, y), (xt, yt) = data.clothes(1200, size=96)
    base = pretrained(96, x, y)
    base.trainable = False
    inputs = Input((96, 96, 3))
    model = keras.Model(inputs, Dense(10)(base(inputs, training=False)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="mlp multiclass, tf.data 1,000,000 rows", score=accuracy, good=0.7)
def million_rows_once():
    """One epoch is enough for a million rows."""
    (x, y), test = data.rows(1_000_000)
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(10_000, seed=0).batch(1024)
    model = Sequential([Input((20,)), Dense(64, activation="relu"),
                        Dense(64, activation="relu"), Dense(5)])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.002), loss, metrics=["accuracy"])
    return Case(model, train.prefetch(2), None, {"epochs": 1, "validation_data": test}, test)


@healthy(kind="cnn, 120 classes, ids with gaps", score=accuracy, good=0.4, needs="fashion")
def article_numbers():
    """120 ids between 0 and 999 into 1,000 units, label smoothing."""
    (x, y), (xt, yt) = data.hued()
    both = data.gaps(np.concatenate([y, yt]))
    hot = keras.utils.to_categorical(both, 1000)
    model = Sequential([
        Input((14, 14, 3)),
        layers.Rescaling(1 / 255),
        Conv2D(24, 3, strides=2, activation="relu"),
        Conv2D(48, 3, activation="relu"),
        Flatten(),
        Dropout(0.2),
        Dense(96, activation="relu"),
        Dense(1000),
    ])  # fmt: skip
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    model.compile(keras.optimizers.Adam(0.002), loss, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, hot[len(y) :])}
    return Case(model, x, hot[: len(y)], fit, (xt, hot[len(y) :]))


@healthy(kind="segmentation, 96 px", score=overlap, good=0.5)
def cells_with_dice():
    """U-Net with the Dice loss."""
    (x, m), test = data.cells(140, test=40)
    model = unet()
    model.compile(keras.optimizers.Adam(0.003), keras.losses.Dice(), metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 4, "validation_data": test}
    return Case(model, x, m, fit, test)


@healthy(kind="cnn multiclass, mixed precision", score=accuracy, good=0.6, needs="fashion")
def half_precision_with_loss_scale():
    """mixed_float16 with a scaled optimizer, as Keras sets it up."""
    (x, y), (xt, yt) = data.small.fashion(2500, test=600, small=True)
    keras.config.set_dtype_policy("mixed_float16")
    model = Sequential([
        Input((14, 14)),
        layers.Reshape((14, 14, 1)),
        layers.Rescaling(1 / 255),
        Conv2D(24, 3, strides=2, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        Conv2D(48, 3, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(10, dtype="float32"),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.004), loss, metrics=["accuracy"])
    keras.config.set_dtype_policy("float32")
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="variational autoencoder, own train_step", score=r2, good=0.4)
def variational_autoencoder():
    """Two losses of its own, no loss and no targets in compile or fit."""

    class Variational(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = Sequential([Dense(96, activation="relu"), Dense(24)])
            self.decoder = Sequential([Dense(96, activation="relu"), Dense(120)])
            self.seed = keras.random.SeedGenerator(1)
            self.total = keras.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.total]

        def call(self, x, training=False):
            return self.decoder(ops.split(self.encoder(x), 2, axis=-1)[0])

        def _loss(self, x):
            mean, log = ops.split(self.encoder(x), 2, axis=-1)
            z = mean + ops.exp(log / 2) * keras.random.normal(ops.shape(mean), seed=self.seed)
            error = ops.sum((x - self.decoder(z)) ** 2, -1)
            return ops.mean(error + 0.05 * ops.sum(ops.exp(log) + mean**2 - 1 - log, -1))

        def train_step(self, x):
            with tf.GradientTape() as tape:
                loss = self._loss(x)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            self.total.update_state(loss)
            return {"loss": self.total.result()}

        def test_step(self, x):
            self.total.update_state(self._loss(x))
            return {"loss": self.total.result()}

    (x, _), (xt, _) = data.sensors(3000, steps=60)
    x, xt = x[:, :, :2].reshape(-1, 120), xt[:, :, :2].reshape(-1, 120)
    model = Variational()
    model.compile(keras.optimizers.Adam(0.002))
    return Case(model, x, None, {"epochs": 12, "batch_size": 32}, (xt, xt))


@healthy(kind="mlp binary, PyDataset 150,000 rows", score=balanced_accuracy, good=0.75)
def rare_faults_with_class_weight():
    """Three in a hundred, class_weight, and the area under the curve."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(152_000, 16)).astype("float32")
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3] + 1.3 * rng.normal(size=len(x))
    y = (score > np.quantile(score, 0.97)).astype("float32")[:, None]
    test = x[150_000:], y[150_000:]
    model = Sequential([Input((16,)), Dense(32, activation="relu"),
                        Dense(32, activation="relu"), Dense(1, activation="sigmoid")])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    fit = {"epochs": 3, "class_weight": {0: 1.0, 1: 30.0}, "validation_data": test}
    return Case(model, Batches(x[:150_000], y[:150_000]), None, fit, test)


@healthy(kind="picture and table in, two outputs", needs="fashion", good=0.55,
         score=worst(kind=accuracy, price=r2))  # fmt: skip
def offers_in_dictionaries():
    """Dictionaries in and out, weighted losses, sample weights for the second."""
    from benchmarks.doctor.sealed.outputs import _offers

    n, x, table, y, price = _offers()
    picture, columns = Input((14, 14, 1), name="picture"), Input((6,), name="table")
    h = Flatten()(Conv2D(16, 3, strides=2, activation="relu")(picture))
    h = layers.concatenate([h, Dense(32, activation="relu")(columns)])
    h = Dense(64, activation="relu")(h)
    outputs = {"kind": Dense(10, activation="softmax", name="kind")(h),
               "price": Dense(1, name="price")(h)}  # fmt: skip
    model = keras.Model({"picture": picture, "table": columns}, outputs)
    model.compile(
        keras.optimizers.Adam(0.002),
        {"kind": "sparse_categorical_crossentropy", "price": "mse"},
        loss_weights={"kind": 1.0, "price": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    ins, outs = {"picture": x, "table": table}, {"kind": y, "price": price}
    test = {k: v[n:] for k, v in ins.items()}, {k: v[n:] for k, v in outs.items()}
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    ins, outs = {k: v[:n] for k, v in ins.items()}, {k: v[:n] for k, v in outs.items()}
    return Case(model, ins, outs, fit, test)


@healthy(kind="cnn multiclass, generator with MixUp", score=right, good=0.5, needs="fashion")
def mixed_pictures():
    """A generator that mixes pictures and labels and flips them, five epochs of steps."""
    (x, y), (xt, yt) = data.clothes(1200, size=56)
    hot = keras.utils.to_categorical(y, 10)

    def batches():
        rng = np.random.default_rng(0)
        while True:
            a, b = rng.integers(0, len(x), (2, 32))
            part = rng.beta(0.2, 0.2, (32, 1)).astype("float32")
            left, right_ = x[a][:, :, :: rng.choice([1, -1])], x[b]
            mixed = part[:, :, None, None] * left + (1 - part[:, :, None, None]) * right_
            yield mixed / 255, part * hot[a] + (1 - part) * hot[b]

    model = Sequential([
        Input((56, 56, 3)),
        Conv2D(16, 5, strides=2, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        Conv2D(64, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.004), "categorical_crossentropy", metrics=["accuracy"])
    test = xt / 255.0, keras.utils.to_categorical(yt, 10)
    fit = {"epochs": 10, "steps_per_epoch": 38, "validation_data": test}
    return Case(model, batches(), None, fit, test)
