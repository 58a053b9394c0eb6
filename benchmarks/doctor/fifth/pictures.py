"""Garments and shoes: residual and separable networks, tf.data, fine-tuning."""

import keras
from keras import layers
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy
from benchmarks.doctor.fifth import _data as data

SPARSE = "sparse_categorical_crossentropy"


def _normed(x, filters, stride=1, momentum=0.9):
    x = Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=momentum)(x)


def residual(size, classes, *, channels=1, momentum=0.9, width=16):
    """Three residual blocks with BatchNorm after a strided stem."""
    inputs = Input((size, size, channels))
    h = layers.ReLU()(_normed(inputs, width, 2, momentum))
    for filters, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        y = layers.ReLU()(_normed(h, filters, stride, momentum))
        y = _normed(y, filters, 1, momentum)
        if h.shape[1:] != y.shape[1:]:
            h = Conv2D(filters, 1, strides=stride, use_bias=False)(h)
        h = layers.ReLU()(layers.Add()([h, y]))
    return keras.Model(inputs, Dense(classes, activation="softmax")(GlobalAveragePooling2D()(h)))


def plain(size, classes, *, before=(), drop=0.0, last="softmax", **conv):
    """Four convolutions without normalization."""
    model = Sequential([Input((size, size, 1)), *before])
    for filters, stride in ((16, 2), (32, 2), (32, 1), (48, 2)):
        model.add(Conv2D(filters, 3, strides=stride, padding="same", activation="relu", **conv))
    model.add(GlobalAveragePooling2D())
    model.add(layers.Dropout(drop))
    model.add(Dense(classes, activation=last))
    return model


@program("label_misalignment", kind="ResNet with BatchNorm, 32 px", score=accuracy, good=0.75,
         bad=0.2)  # fmt: skip
def files_sorted_as_text(faulty):
    """1.png, 10.png, 100.png..., the labels' table counts 1, 2, 3: one in ten right."""
    (x, y), (xt, yt) = data.garments(3000)
    if faulty:
        x = x[sorted(range(len(x)), key=str)]
    model = residual(32, 10)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 6 * len(x) // 64)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("lr_too_low", kind="ResNet with BatchNorm, 32 px, cosine", score=accuracy, good=0.7,
         bad=0.6)  # fmt: skip
def cosine_over_epochs_not_steps(faulty):
    """CosineDecay(0.02, decay_steps=EPOCHS): the first epoch moves, then nothing does."""
    (x, y), (xt, yt) = data.garments(3000, seed=61)
    epochs, steps = 6, len(x) // 64
    model = residual(32, 10)
    rate = keras.optimizers.schedules.CosineDecay(0.02, epochs if faulty else epochs * steps)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), SPARSE, metrics=["accuracy"])
    fit = {"epochs": epochs, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("augmentation_breaks_label", also=("dying_relu",),
         kind="cnn binary, 40 px, augmentation",
         score=accuracy, good=0.9, bad=0.7)  # fmt: skip
def shoes_flipped_left_and_right(faulty):
    """Does the toe point left or right? RandomFlip is in every tutorial, so it is in mine."""
    (x, y), test = data.shoes(2000)
    turn = layers.RandomFlip("horizontal", seed=1)
    shift = layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=1)
    model = plain(40, 1, before=[turn if faulty else shift], last="sigmoid")
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("dying_relu", "bad_initialization", kind="cnn multiclass, 40 px", score=accuracy,
         good=0.7, bad=0.3)  # fmt: skip
def sparse_from_the_start(faulty):
    """bias_initializer=Constant(-2) so that few units fire; none does."""
    (x, y), test = data.garments(3000, size=40, seed=63)
    model = plain(40, 10, bias_initializer=keras.initializers.Constant(-2.0 if faulty else 0.0))
    model.compile(keras.optimizers.Adam(0.004), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 64, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("bad_normalization", kind="cnn with GroupNorm, 40 px", score=accuracy, good=0.7, bad=0.3)
def groups_of_one_number(faulty):
    """GroupNormalization(groups=-1) after the pooling: each group is a single number."""
    (x, y), test = data.garments(3000, size=40, seed=64)
    model = Sequential([Input((40, 40, 1))])
    for filters, stride in ((16, 2), (32, 2), (32, 2)):
        model.add(Conv2D(filters, 3, strides=stride, padding="same", activation="relu"))
    model.add(GlobalAveragePooling2D())
    model.add(layers.GroupNormalization(groups=-1 if faulty else 1))
    model.add(Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(0.004), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 64, "validation_data": test}
    return Case(model, x, y, fit, test)


@program("excessive_regularization", kind="cnn multiclass, 40 px", score=accuracy, good=0.7,
         bad=0.5)  # fmt: skip
def decay_of_the_wrong_kind(faulty):
    """l2(0.2) on each kernel: I thought of AdamW's weight_decay, where 0.2 is nothing."""
    (x, y), test = data.garments(3000, size=40, seed=65)
    penalty = keras.regularizers.L2(0.2 if faulty else 1e-5)
    model = plain(40, 10, kernel_regularizer=penalty)
    model.compile(keras.optimizers.Adam(0.004), SPARSE, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 64, "validation_data": test}
    return Case(model, x, y, fit, test)
