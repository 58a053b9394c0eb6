"""An answer at each pixel: segmentation by class, one output a class, small batches."""

import keras
import numpy as np
from keras import layers
from keras.layers import BatchNormalization, Conv2D, Conv2DTranspose, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor.fourth import _data as data


def found(model, case, history):
    """Mean share of each shape's pixels that get their class."""
    x, y = case.test
    said = np.asarray(model(x, training=False), "float32").argmax(-1)
    return float(np.mean([(said[y == k] == k).mean() for k in np.unique(y) if k]))


def hourglass(size, *, units=5, last=None, norm=False, width=8):
    """Down by eight and up again."""
    inputs = Input((size, size, 3))
    h = inputs
    for filters in (width, 2 * width, 4 * width):
        h = Conv2D(filters, 3, strides=2, padding="same", use_bias=not norm)(h)
        h = layers.ReLU()(BatchNormalization(momentum=0.9)(h) if norm else h)
    for filters in (4 * width, 2 * width, width):
        h = Conv2DTranspose(filters, 4, strides=2, padding="same", activation="relu")(h)
    return keras.Model(inputs, Conv2D(units, 1, activation=last)(h))


def trained(model, rate, fault, x, m, test, *, batch=8, epochs=8):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not fault)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    fit = {"epochs": epochs, "batch_size": batch, "validation_data": test}
    return Case(model, x, m, fit, test)


@program("loss_activation_mismatch", also=("wrong_output_activation",),
         kind="segmentation, 5 classes, 96 px", score=found, good=0.5, bad=0.4)  # fmt: skip
def classes_of_pixels_from_scores(faulty):
    """The last convolution has no activation, the loss wants probabilities; it gets nowhere."""
    (x, _, m), (xt, _, mt) = data.shapes(320, test=80)
    return trained(hourglass(96), 0.004, faulty, x, m, (xt, mt))


@program("bad_normalization", also=("bad_batch_size",), kind="segmentation, 5 classes, 96 px",
         score=found, good=0.5, bad=0.45)  # fmt: skip
def pixels_in_batches_of_one(faulty):
    """Memory allows one picture at a time; with BatchNorm validation jumps about."""
    (x, _, m), (xt, _, mt) = data.shapes(200, test=60)
    model = hourglass(96, norm=True)
    return trained(model, 0.004, False, x, m, (xt, mt), batch=1 if faulty else 8,
                   epochs=2 if faulty else 14)  # fmt: skip


@program("insufficient_capacity", kind="segmentation, 5 classes, 96 px", score=found, good=0.5,
         bad=0.4)  # fmt: skip
def an_hourglass_of_one_filter(faulty):
    """Made small for the phone: one, two and four filters; it finds shapes, not their kinds."""
    (x, _, m), (xt, _, mt) = data.shapes(320, test=80)
    return trained(hourglass(96, width=1 if faulty else 8), 0.004, False, x, m, (xt, mt))
