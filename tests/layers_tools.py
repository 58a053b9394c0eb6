"""Inputs, built layers and their gradients on TensorFlow, for the tests of layers."""

import numpy as np
import tensorflow as tf

SMALL = (4, 7, 5, 8)  # below the size for which kernels are compiled
LARGE = (2, 17, 16, 16)  # above it; 272 pixels and then some


def draw(shape, mean=0.0, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype("float32")


def with_weights(layer, shape, seed=9):
    """The layer, built, with random gamma and beta; and these two."""
    layer.build(shape)
    gamma, beta = draw((2, shape[layer.axis]), seed=seed)
    layer.set_weights([gamma, beta])
    return layer, gamma, beta


def differentiate(layer, mode="eager"):
    """x, dy -> y, dx, dgamma, dbeta, eagerly, in a graph, or under XLA."""

    def run(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, *tape.gradient(y, [x, *layer.trainable_variables], dy)

    if mode == "open":
        spec = tf.TensorSpec([None, None, None, layer.channels])
        run = tf.function(run, input_signature=[spec, spec])
    elif mode != "eager":
        run = tf.function(run, jit_compile=mode == "jit")
    return lambda x, dy: [np.array(t) for t in run(tf.constant(x), tf.constant(dy))]
