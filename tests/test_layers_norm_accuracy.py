"""Values, first and second derivatives of GroupNorm against float64, in every way to run it."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from layers_oracle import gradients, normalize
from layers_tools import LARGE, SMALL, differentiate, draw, with_weights

from kcnn.layers import GroupNorm
from kcnn.layers.group_norm import bits, layout


@pytest.mark.parametrize("mode", ["eager", "graph", "jit", "open"])
@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_value_and_gradients_against_float64(mode, shape, mean):
    layer, gamma, beta = with_weights(GroupNorm(4), shape)
    x, dy = draw(shape, mean, 1), draw(shape, seed=2)
    y, dx, dgamma, dbeta = differentiate(layer, mode)(x, dy)
    np.testing.assert_allclose(
        y, normalize(x, gamma, beta, over="group", groups=4), atol=5e-6, rtol=1e-6
    )
    want = gradients(x, dy, gamma, groups=4)
    for got, exact, off in zip((dx, dgamma, dbeta), want, (1e-5, 1e-4, 1e-4), strict=True):
        np.testing.assert_allclose(got, exact, atol=off)


@pytest.mark.parametrize(("side", "channels"), [(16, 16), (17, 24), (16, 48), (19, 16), (23, 40)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_compiled_kernels_for_sizes_that_do_not_divide(side, channels, axis):
    shape = (2, side, side, channels)
    x, dy = draw(shape, 1.0), draw(shape, seed=1)
    turn = (lambda a: np.moveaxis(a, -1, 1)) if axis == 1 else lambda a: a
    layer, gamma, beta = with_weights(GroupNorm(8, axis=axis), turn(x).shape)
    y, dx, dgamma, _ = differentiate(layer, "graph")(turn(x), turn(dy))
    exact = gradients(x, dy, gamma, groups=8)
    np.testing.assert_allclose(
        y, turn(normalize(x, gamma, beta, over="group", groups=8)), atol=5e-6
    )
    np.testing.assert_allclose(dx, turn(exact[0]), atol=1e-5)
    np.testing.assert_allclose(dgamma, exact[1], atol=1e-4)


@pytest.mark.parametrize("mode", ["graph", "jit", "open"])
def test_a_large_mean_costs_less_than_in_keras(mode):
    x, dy = draw((4, 56, 56, 16), 1e3), draw((4, 56, 56, 16), seed=1)
    ones, groups = np.ones(16), 8
    want = [normalize(x, ones, 0, over="group", groups=groups)]
    want += gradients(x, dy, ones, groups=groups)
    off = {}
    for layer in (GroupNorm(groups), keras.layers.GroupNormalization(groups, epsilon=1e-5)):
        layer.build(x.shape)
        layer.channels = 16
        got = differentiate(layer, mode)(x, dy)
        errors = [np.sqrt(np.mean((g - w) ** 2)) for g, w in zip(got, want, strict=True)]
        off[type(layer).__name__] = errors
    ours, theirs = off["GroupNorm"], off["GroupNormalization"]
    assert ours[0] <= theirs[0]
    assert ours[1] <= theirs[1] / 3
    assert ours[2] <= theirs[2] / 3


@pytest.mark.parametrize("mode", ["graph", "open"])
@pytest.mark.parametrize("far", [-300.0, 1e5])
def test_pixels_unlike_the_others(mode, far):
    # The compiled kernels subtract the mean of these pixels first; it says little here.
    x, dy = draw(LARGE), draw(LARGE, seed=1)
    x.reshape(2, -1, 16)[:, :: layout._PART] += far
    layer, gamma, beta = with_weights(GroupNorm(4), LARGE)
    y, dx, dgamma, _ = differentiate(layer, mode)(x, dy)
    exact = gradients(x, dy, gamma, groups=4)
    want = normalize(x, gamma, beta, over="group", groups=4)
    np.testing.assert_allclose(y, want, atol=4e-5)
    np.testing.assert_allclose(dx * far, exact[0] * far, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(dgamma, exact[1], atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 3, 4), LARGE])
def test_second_derivatives_against_finite_differences(shape):
    # Keras's own layer is no oracle here: its second derivatives are off, since TensorFlow's
    # moments stop the gradient of the mean inside the variance.
    layer, *_ = with_weights(GroupNorm(2, activation="tanh", dtype="float64"), shape)
    x, dy, weight, way = (tf.constant(draw(shape, seed=i), "float64") for i in range(4))

    def penalty(x, dy):
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
        return tf.reduce_sum(weight * inner.gradient(y, x, dy))

    with tf.GradientTape() as outer:
        outer.watch([x, dy])
        p = penalty(x, dy)
    found = [float(tf.reduce_sum(g * way)) for g in outer.gradient(p, [x, dy])]
    h = 1e-5 * way
    want = [float(penalty(x + h, dy) - penalty(x - h, dy)) / 2e-5]
    want += [float(penalty(x, dy + h) - penalty(x, dy - h)) / 2e-5]
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_bfloat16_by_integers_rounds_as_numpy_does():
    some = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    special = np.uint32([0, 1 << 31, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x3F808000, 0x3F818000, 1])
    values = np.concatenate([some, special, np.uint32([0x7FC00000, 0x7F800001])]).view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = values.astype(ml_dtypes.bfloat16)
    half = bits.narrowed(keras.ops.convert_to_tensor(values), "bfloat16")
    back = bits.widened(bits.bits_of_bfloat16(half), "float32")
    np.testing.assert_array_equal(back, expected.astype("float32"))
