"""Classifiers of images: residual and plain networks, attention, transfer, augmentation."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.optimizers import SGD, Adam, AdamW, RMSprop
from keras.optimizers.schedules import CosineDecay, PiecewiseConstantDecay

from doctor_zoo.make import (
    LOGITS,
    batch_norm,
    compiled,
    held,
    pictures,
    residual,
    sequential,
    setup,
)  # fmt: skip


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
def augmented():
    model = keras.Sequential([
        keras.Input((12, 12, 3)), layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(10, "softmax"),
    ])  # fmt: skip
    return compiled(model, Adam(3e-3)), *held(*pictures(), epochs=14)


@setup
def preactivation_stepwise_rate():
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(2):
        b = layers.Conv2D(16, 3, padding="same")(layers.ReLU()(batch_norm()(h)))
        b = layers.Conv2D(16, 3, padding="same")(layers.ReLU()(batch_norm()(b)))
        h = layers.Add()([h, b])
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(batch_norm()(h)))
    rate = PiecewiseConstantDecay([80, 110], [0.1, 0.01, 0.001])
    model = keras.Model(inputs, layers.Dense(10)(h))
    return compiled(model, SGD(rate, momentum=0.9), LOGITS), *held(*pictures(), epochs=12)


@setup
def dense_blocks():
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(3):
        b = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(batch_norm()(h)))
        h = layers.Concatenate()([h, b])
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(batch_norm()(h)))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(h))
    return compiled(model, Adam(5e-3)), *held(*pictures(), epochs=10)


@setup
def separable_relu6():
    body = []
    for filters, stride in ((24, 1), (32, 2), (48, 1)):
        body += [
            layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False), batch_norm(),
            layers.ReLU(6.0), layers.Conv2D(filters, 1, use_bias=False), batch_norm(),
            layers.ReLU(6.0),
        ]  # fmt: skip
    model = sequential(
        (12, 12, 3), layers.Conv2D(16, 3, padding="same", use_bias=False), batch_norm(),
        layers.ReLU(6.0), *body, layers.GlobalAveragePooling2D(), layers.Dense(10, "softmax"),
    )  # fmt: skip
    return compiled(model, RMSprop(3e-3)), *held(*pictures(), epochs=14)


@setup
def squeeze_and_excite():
    inputs = keras.Input((12, 12, 3))
    h = layers.ReLU()(batch_norm()(layers.Conv2D(32, 3, padding="same")(inputs)))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(h)
    gate = layers.Conv2D(32, 1, activation="sigmoid")(layers.Conv2D(8, 1, activation="relu")(gate))
    h = layers.Conv2D(32, 3, 2, activation="relu")(layers.Multiply()([h, gate]))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(h)))
    return compiled(model, Adam(5e-3)), *held(*pictures(), epochs=12)


@setup
def mlp_mixer():
    inputs = keras.Input((12, 12, 3))
    h = layers.Reshape((16, 32))(layers.Conv2D(32, 3, 3)(inputs))
    for _ in range(2):
        n = layers.Permute((2, 1))(layers.LayerNormalization()(h))
        n = layers.Dense(16)(layers.Dense(32, "gelu")(n))
        h = layers.Add()([h, layers.Permute((2, 1))(n)])
        n = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.Dense(32)(layers.Dense(64, "gelu")(n))])
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(h))
    return compiled(model, AdamW(3e-3, weight_decay=1e-4)), *held(*pictures(), epochs=14)


@setup
def weight_penalty_and_dropout():
    decay = keras.regularizers.L2(1e-4)
    model = sequential(
        (12, 12, 3), layers.Conv2D(24, 3, activation="relu", kernel_regularizer=decay),
        layers.MaxPooling2D(), layers.Dropout(0.25),
        layers.Conv2D(32, 3, activation="relu", kernel_regularizer=decay), layers.Flatten(),
        layers.Dense(64, "relu", kernel_regularizer=decay), layers.Dropout(0.5),
        layers.Dense(10, "softmax"),
    )  # fmt: skip
    return compiled(model, Adam(2e-3)), *held(*pictures(), epochs=15)


@setup
def bytes_rescaled_in_the_model():
    x, y = pictures()
    model = sequential(
        (12, 12, 3), layers.Rescaling(1 / 255), layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(), layers.Conv2D(32, 3, activation="relu"), layers.Flatten(),
        layers.Dense(10, "softmax"),
    )  # fmt: skip
    return compiled(model, Adam(3e-3)), *held((255 * x).astype("uint8"), y, epochs=12)


@setup
def augmented_in_the_pipeline():
    x, y, fit = held(*pictures(), epochs=14)
    fit.pop("batch_size")

    def change(image, label):
        image = tf.image.random_brightness(image, 0.1)
        return tf.image.random_contrast(image, 0.8, 1.2), label

    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(400).map(change).batch(32).prefetch(2)
    return compiled(residual(), Adam(5e-3), LOGITS), data, None, fit


@setup
def frozen_backbone_and_new_head():
    x, y = pictures()
    body = compiled(residual(), Adam(1e-2), LOGITS)
    body.fit(x[:380], y[:380] % 5, epochs=8, verbose=0)
    base = keras.Model(body.inputs, body.layers[-3].output)
    base.trainable = False
    inputs = keras.Input((12, 12, 3))
    h = layers.GlobalAveragePooling2D()(base(inputs, training=False))
    h = layers.Dropout(0.2)(layers.Dense(32, "relu")(h))
    model = keras.Model(inputs, layers.Dense(10, "softmax")(h))
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=15)


@setup
def backbone_unfrozen():
    from kcnn.transfer import linear_probe, unfreeze

    x, y = pictures()
    body = compiled(residual(classes=5), Adam(1e-2), LOGITS)
    body.fit(x[:380], y[:380] % 5, epochs=8, verbose=0)
    model = linear_probe(keras.Model(body.inputs, body.layers[-3].output), classes=10)
    model.compile(Adam(1e-2), LOGITS, metrics=["accuracy"])
    model.fit(x[:380], y[:380], epochs=15, verbose=0)
    unfreeze(model, learning_rate=1e-3)
    return model, *held(x, y, epochs=4)


@setup
def unit_vectors_and_scaled_cosines():
    inputs = keras.Input((12, 12, 3))
    h = layers.Conv2D(32, 3, 2, activation="relu")(layers.Conv2D(16, 3, activation="relu")(inputs))
    h = layers.UnitNormalization()(layers.Dense(32)(layers.GlobalAveragePooling2D()(h)))
    model = keras.Model(inputs, layers.Rescaling(10.0)(layers.Dense(10, use_bias=False)(h)))
    return compiled(model, Adam(5e-3), LOGITS), *held(*pictures(), epochs=14)
