"""Segmentation: pictures of 96 to 224 pixels and their masks."""

import keras
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Conv2DTranspose, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor.sealed import _data as data
from benchmarks.doctor.sealed._score import overlap


def unet(size=96, *, last="sigmoid", units=1, width=6):
    """Down by four and up again with short cuts."""
    inputs = Input((size, size, 1))
    a = Conv2D(width, 3, padding="same", activation="relu")(inputs)
    b = Conv2D(2 * width, 3, strides=2, padding="same", activation="relu")(a)
    c = Conv2D(4 * width, 3, strides=2, padding="same", activation="relu")(b)
    c = Conv2D(4 * width, 3, padding="same", activation="relu")(c)
    d = Conv2DTranspose(2 * width, 2, strides=2, activation="relu")(c)
    d = Conv2D(2 * width, 3, padding="same", activation="relu")(layers.concatenate([b, d]))
    e = Conv2DTranspose(width, 2, strides=2, activation="relu")(d)
    e = Conv2D(width, 3, padding="same", activation="relu")(layers.concatenate([a, e]))
    return keras.Model(inputs, Conv2D(units, 1, activation=last)(e))


@program("wrong_output_activation", kind="segmentation, 96 px", score=overlap, good=0.5, bad=0.3)
def mask_from_softmax_of_one(faulty):
    """U-Net with one output channel and softmax: the mask is white everywhere."""
    (x, m), test = data.cells(140, test=40)
    model = unet(last="softmax" if faulty else "sigmoid")
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 6, "batch_size": 4, "validation_data": test}
    return Case(model, x, m, fit, test)


@program("label_encoding", also=("unnormalized_targets",), kind="segmentation, 96 px",
         score=overlap, good=0.5, bad=0.3)  # fmt: skip
def mask_of_0_and_255(faulty):
    """Masks read from png files; the loss is -1200 and falls."""
    (x, m), test = data.cells(140, test=40)
    model = unet()
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    scale = 255.0 if faulty else 1.0
    fit = {"epochs": 6, "batch_size": 4, "validation_data": (test[0], test[1] * scale)}
    return Case(model, x, m * scale, fit, test)


@program("augmentation_breaks_label", "label_misalignment", kind="segmentation, 96 px, tf.data",
         score=overlap, good=0.5, bad=0.35)  # fmt: skip
def mask_left_behind_by_the_flip(faulty):
    """Random flips of the picture; the masks look blurred."""
    (x, m), test = data.cells(140, test=40)
    train = tf.data.Dataset.from_tensor_slices((x, m)).shuffle(140, seed=0)

    def flip(picture, mask):
        both = tf.concat([picture, mask], -1)
        turned = tf.image.random_flip_up_down(tf.image.random_flip_left_right(both, 3), 4)
        return turned[..., :1], mask if faulty else turned[..., 1:]

    model = unet()
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
    fit = {"epochs": 8, "validation_data": test}
    return Case(model, train.map(flip).batch(4), None, fit, test)
