"""What half precision costs a network: its float32 twin with every layer's answer rounded.

An untrained residual network of a hundred layers answers noise with noise: how far the
logits of a half-precision run may stray depends on the network, so no fixed bound serves
both resnet20 (logits of 0.1, off by 0.001) and resnet152. This reference computes in
float32 throughout and rounds only what passes from layer to layer.
"""

import keras
import numpy as np
import tensorflow as tf

HALF = {"bfloat16": tf.bfloat16, "float16": tf.float16}


def settle(model, x):
    """Give every BatchNormalization the statistics of the batch `x`, as training would.

    With the statistics 0 and 1 of a fresh layer the residual sums of deep networks reach
    thousands, more than float16 holds.
    """
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def rounded_logits(model, x, half):
    """The logits of a float32 `model` whose input and layers' answers are rounded to `half`."""

    def rounding(answer):
        return tf.cast(tf.cast(answer, HALF[half]), tf.float32)

    def rounded(call):
        return lambda *args, **kwargs: keras.tree.map_structure(rounding, call(*args, **kwargs))

    layers = list(model._flatten_layers(include_self=False))
    for layer in layers:
        layer.call = rounded(layer.call)
    try:
        return np.asarray(model(rounding(x)))
    finally:
        for layer in layers:
            del layer.call


def rms(difference):
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(difference, dtype="float64"))))
