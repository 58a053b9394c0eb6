"""Healthy programs on images and sequences, with habits that look suspicious."""

import keras
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Dropout, Flatten, Input
from keras.models import Sequential
from keras.utils import to_categorical

from benchmarks.doctor import _data as data
from benchmarks.doctor._registry import Case, healthy
from benchmarks.doctor._score import accuracy, r2


@healthy(kind="cnn multiclass, logits", score=accuracy, good=0.76, needs="fashion")
def fashion_logits_and_label_smoothing():
    """A last layer without softmax, the loss from_logits with label smoothing."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None] / 255.0, xt[..., None] / 255.0
    model = Sequential([
        Conv2D(16, 3, activation="relu", input_shape=(14, 14, 1)),
        layers.MaxPooling2D(),
        Conv2D(32, 3, activation="relu"),
        Flatten(),
        Dropout(0.3),
        Dense(10),
    ])  # fmt: skip
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    val = (xt, to_categorical(yt))
    fit = {"epochs": 8, "batch_size": 32, "validation_data": val}
    return Case(model, x, to_categorical(y), fit, (xt, yt))


@healthy(kind="cnn multiclass", score=accuracy, good=0.85)
def digits_residual_groupnorm():
    """A small residual network with GroupNorm in batches of four."""
    (x, y), (xt, yt) = data.digits(image=True)
    inputs = Input((8, 8, 1))
    h = Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    for _ in range(3):
        f = layers.ReLU()(layers.GroupNormalization(4)(h))
        f = Conv2D(16, 3, padding="same", use_bias=False)(f)
        f = layers.ReLU()(layers.GroupNormalization(4)(f))
        f = Conv2D(16, 3, padding="same", use_bias=False)(f)
        h = layers.Add()([h, f])
    h = Flatten()(layers.ReLU()(layers.GroupNormalization(4)(h)))
    model = keras.Model(inputs, Dense(10, activation="softmax")(h))
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    fit = {"epochs": 4, "batch_size": 8, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@healthy(kind="cnn multiclass, frozen base", score=accuracy, good=0.9)
def digits_frozen_pretrained_base():
    """A base trained on odd and even before, frozen, with a new head."""
    (x, y), (xt, yt) = data.digits(image=True)
    x, xt = x / 16, xt / 16
    base = Sequential([
        Input((8, 8, 1)),
        Conv2D(32, 3, activation="relu"),
        Conv2D(32, 3, activation="relu"),
        Flatten(),
    ])  # fmt: skip
    earlier = Sequential([base, Dense(2, activation="softmax")])
    earlier.compile("adam", "sparse_categorical_crossentropy")
    earlier.fit(x, y % 2, epochs=5, verbose=0)
    base.trainable = False
    model = Sequential([base, Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@healthy(kind="cnn multiclass, mixed precision", score=accuracy, good=0.88)
def digits_mixed_precision():
    """float16 inside, float32 at the end."""
    (x, y), (xt, yt) = data.digits(image=True)
    keras.config.set_dtype_policy("mixed_float16")
    model = Sequential([
        Input((8, 8, 1)),
        Conv2D(16, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        Flatten(),
        Dense(10),
        layers.Activation("softmax", dtype="float32"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras.config.set_dtype_policy("float32")
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.2}
    return Case(model, x / 16, y, fit, (xt / 16, yt))


@healthy(kind="cnn multiclass, augmentation, tf.data", score=accuracy, good=0.7, needs="fashion")
def fashion_flipped_is_fine():
    """Clothes may be mirrored and shifted a little."""
    (x, y), (xt, yt) = data.fashion(2000, small=True)
    x, xt = x[..., None].astype("float32"), xt[..., None].astype("float32")
    change = Sequential([layers.RandomFlip("horizontal"), layers.RandomTranslation(0.05, 0.05)])
    train = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000, seed=0).batch(32)
    train = train.map(lambda a, b: (change(a, training=True), b))
    val = tf.data.Dataset.from_tensor_slices((xt, yt)).batch(100)
    model = Sequential([
        Input((14, 14, 1)),
        layers.Rescaling(1 / 255),
        Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        Flatten(),
        Dense(64, activation="relu"),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Case(model, train, None, {"epochs": 8, "validation_data": val}, (xt, yt))


@healthy(kind="autoencoder", score=r2, good=0.7)
def digits_autoencoder_bce():
    """Binary cross-entropy against pixels in 0..1, which never gets near zero."""
    (x, _), (xt, _) = data.digits()
    x, xt = x / 16, xt / 16
    inputs = Input((64,))
    code = Dense(24, activation="relu")(Dense(64, activation="relu")(inputs))
    outputs = Dense(64, activation="sigmoid")(Dense(64, activation="relu")(code))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    fit = {"epochs": 20, "batch_size": 64, "validation_data": (xt, xt)}
    return Case(model, x, x, fit, (xt, xt))


@healthy(kind="rnn regression", score=r2, good=0.8)
def waves_tanh_rnn():
    """A plain recurrent network with tanh and gradient clipping."""
    (x, y), test = data.waves(steps=20)
    model = Sequential()
    model.add(layers.SimpleRNN(24, input_shape=(20, 1)))
    model.add(Dense(1))
    model.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), "mse")
    return Case(model, x, y, {"epochs": 20, "batch_size": 32, "validation_data": test}, test)


@healthy(kind="embedding binary", score=accuracy, good=0.85)
def tokens_up_to_ten_thousand():
    """Integer inputs far from zero, as an embedding wants them."""
    (x, y), test = data.tokens()
    model = Sequential()
    model.add(layers.Embedding(10_000, 8))
    model.add(layers.GlobalAveragePooling1D())
    model.add(Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@healthy(kind="subclassed, custom train_step", score=accuracy, good=0.88)
def digits_own_train_step():
    """A subclassed model with its own loop and a cosine schedule."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.body = Sequential([Flatten(), Dense(64, activation="gelu")])
            self.head = Dense(10)

        def call(self, x):
            return self.head(self.body(x))

        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                scores = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=scores)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return self.compute_metrics(x, y, scores)

    (x, y), (xt, yt) = data.digits(image=True)
    model = Net()
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 400)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=1e-4), loss, metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt / 16, yt)}
    return Case(model, x / 16, y, fit, (xt / 16, yt))
