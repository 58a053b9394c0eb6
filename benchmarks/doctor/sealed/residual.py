"""Residual networks, up to a ResNet-50 in small, and training on from pretrained weights."""

import keras
from keras import layers
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input
from keras.models import Sequential

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy
from benchmarks.doctor.sealed import _data as data
from benchmarks.doctor.sealed._score import in_parts

right = in_parts(accuracy)


def resnet(
    blocks, width, *, size=64, classes=10, norm=True, expand=4, last="softmax", momentum=0.8
):
    """A bottleneck network, v1: (3, 4, 6, 3) blocks are those of a ResNet-50."""

    def normed(h):
        return layers.BatchNormalization(momentum=momentum)(h) if norm else h

    def conv(h, filters, kernel, strides=1):
        return normed(Conv2D(filters, kernel, strides=strides, padding="same", use_bias=not norm,
                             kernel_initializer="he_normal")(h))  # fmt: skip

    inputs = Input((size, size, 3))
    h = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    h = layers.ReLU()(conv(h, width, 7, 4))
    for stage, count in enumerate(blocks):
        for block in range(count):
            strides = 2 if stage and not block else 1
            filters = width * 2**stage
            f = layers.ReLU()(conv(h, filters, 1, strides))
            f = conv(layers.ReLU()(conv(f, filters, 3)), filters * expand, 1)
            short = h if block else conv(h, filters * expand, 1, strides)
            h = layers.ReLU()(layers.Add()([short, f]))
    h = GlobalAveragePooling2D()(h)
    return keras.Model(inputs, Dense(classes, activation=last)(h))


def pretrained(size, x, y):
    """A small network that already tells the classes of `y` apart, without its last layer."""
    base = Sequential([
        Input((size, size, 3)),
        layers.Rescaling(1 / 127.5, offset=-1),
        Conv2D(16, 5, strides=4, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        Conv2D(32, 3, strides=2, activation="relu"),
        Conv2D(64, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
    ], name="backbone")  # fmt: skip
    earlier = Sequential([base, Dense(int(y.max()) + 1, activation="softmax")])
    earlier.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    earlier.fit(x, y, epochs=6, batch_size=32, verbose=0)
    return base


@program("lr_too_high", also=("dying_relu", "exploding_gradient"), kind="ResNet-50 in small, 56 px",
         score=right, good=0.4, bad=0.3, needs="fashion")  # fmt: skip
def resnet50_with_the_rate_of_sgd(faulty):
    """ResNet-50, Adam with the 0.1 of the paper."""
    (x, y), (xt, yt) = data.clothes(640, test=200, size=56)
    model = resnet((3, 4, 6, 3), 8, size=56, expand=2)
    adam = keras.optimizers.Adam(0.3 if faulty else 0.002)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 5, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("exploding_gradient", also=("bad_initialization", "lr_too_high", "dying_relu"),
         kind="ResNet, 7 blocks, 56 px", score=right, good=0.4, bad=0.3,
         needs="fashion")  # fmt: skip
def resnet_without_its_norms(faulty):
    """I removed BatchNorm to save time; the first loss has five digits."""
    (x, y), (xt, yt) = data.clothes(640, test=200, size=56)
    model = resnet((2, 3, 2), 12, size=56, norm=not faulty, expand=2)
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("frozen_layers", kind="cnn multiclass, 96 px, subclassed", score=right, good=0.5, bad=0.45,
         needs="fashion")  # fmt: skip
def backbone_frozen_before_any_training(faulty):
    """The backbone is frozen as in the tutorial, only that mine starts from scratch."""

    class Classifier(keras.Model):
        def __init__(self):
            super().__init__()
            self.scale = layers.Rescaling(1 / 127.5, offset=-1)
            self.backbone = Sequential([
                Conv2D(16, 5, strides=4, activation="relu"),
                Conv2D(32, 3, strides=2, activation="relu"),
                Conv2D(32, 3, strides=2, activation="relu"),
                Conv2D(32, 3, activation="relu"),
            ])  # fmt: skip
            self.backbone.trainable = not faulty
            self.pool = GlobalAveragePooling2D()
            self.head = Dense(10)

        def call(self, x, training=False):
            return self.head(self.pool(self.backbone(self.scale(x), training=training)))

    (x, y), (xt, yt) = data.clothes(1200, test=200)
    model = Classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    fit = {"epochs": 8, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("lr_too_low", also=("too_few_epochs",), kind="fine-tuning, 96 px", score=right,
         good=0.55, bad=0.4, needs="fashion")  # fmt: skip
def fine_tuning_too_careful(faulty):
    """Pretrained on tops and shoes, all layers open, new head; Adam at 1e-7 not to hurt it."""
    (x, y), (xt, yt) = data.clothes(1500, test=300, size=56)
    base = pretrained(56, x, (y >= 5).astype(int))
    model = Sequential([base, Dense(10, activation="softmax")])
    adam = keras.optimizers.Adam(1e-7 if faulty else 2e-3)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 10, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("lr_too_high", also=("dying_relu", "exploding_gradient"), kind="fine-tuning, 56 px",
         score=right, good=0.6, bad=0.5, needs="fashion")  # fmt: skip
def fine_tuning_wipes_it_out(faulty):
    """Fine-tuning makes it worse than the frozen network was: 0.1 after two epochs."""
    (x, y), (xt, yt) = data.clothes(1500, test=300, size=56)
    base = pretrained(56, x, y)
    model = Sequential([base, Dense(10, activation="softmax")])
    adam = keras.optimizers.Adam(0.2 if faulty else 5e-4)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 32, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))
