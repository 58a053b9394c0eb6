"""Normalization layers against the one formula in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layers_oracle import gradients, normalize
from layers_tools import LARGE, SMALL, differentiate, draw, with_weights

from kcnn.layers import GroupNorm, InstanceNorm, norm


@pytest.mark.parametrize("kind", ["batch", "layer", "instance", "group"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_every_kind_is_the_one_formula(kind, data_format):
    x, first = draw(SMALL, 2.0), data_format == "channels_first"
    seen = np.moveaxis(x, -1, 1) if first else x
    layer = norm(kind, channels=8, data_format=data_format)
    layer.build(seen.shape)
    gamma, beta = draw((2, 8))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    y = np.asarray(layer(seen, training=True))
    want = normalize(x, gamma, beta, over=kind, groups=getattr(layer, "groups", None))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1) if first else y, want, atol=3e-6)


@pytest.mark.parametrize("shape", [(6, 8), (3, 9, 8), (2, 3, 4, 5, 8), (3, 1, 1, 8), (5, 2, 2, 8)])
def test_any_rank_and_tiny_maps(shape):
    layer, gamma, beta = with_weights(GroupNorm(2), shape)
    x, dy = draw(shape, 3.0), draw(shape, seed=1)
    y, dx, *_ = differentiate(layer)(x, dy)
    np.testing.assert_allclose(y, normalize(x, gamma, beta, over="group", groups=2), atol=3e-6)
    np.testing.assert_allclose(dx, gradients(x, dy, gamma, groups=2)[0], atol=2e-5)


def test_an_axis_in_the_middle():
    x = draw((2, 3, 8, 5))
    layer, gamma, beta = with_weights(GroupNorm(4, axis=2), x.shape)
    want = normalize(np.moveaxis(x, 2, -1), gamma, beta, over="group", groups=4)
    np.testing.assert_allclose(layer(x), np.moveaxis(want, -1, 2), atol=3e-6)


def test_instance_norm_is_one_group_a_channel():
    layer, gamma, beta = with_weights(InstanceNorm(), SMALL)
    x = draw(SMALL)
    np.testing.assert_allclose(layer(x), normalize(x, gamma, beta, over="instance"), atol=3e-6)


def test_weights_interchange_with_keras():
    ours, *_ = with_weights(GroupNorm(4, epsilon=1e-3), SMALL)
    theirs = keras.layers.GroupNormalization(4)
    theirs.build(SMALL)
    theirs.set_weights(ours.get_weights())
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    np.testing.assert_allclose(ours(draw(SMALL)), theirs(draw(SMALL)), atol=3e-6)


@pytest.mark.parametrize(
    ("activation", "shape"),
    [(name, SMALL) for name in ("relu", "relu6", "leaky_relu", "silu", "gelu")]
    + [(name, SMALL) for name in ("tanh", "sigmoid", "softplus")]
    + [(name, LARGE) for name in ("relu", "leaky_relu", "gelu")],
)
@pytest.mark.parametrize("residual", [False, True])
def test_the_layers_activation_is_the_same_as_a_separate_one(shape, activation, residual):
    whole, *_ = with_weights(GroupNorm(2, activation=activation), shape)
    separate, *_ = with_weights(keras.layers.GroupNormalization(2, epsilon=1e-5), shape)
    x, r, dy = (tf.constant(draw(shape, seed=i)) for i in range(3))
    f = keras.activations.get(activation)
    found = []
    for run in (
        lambda: whole(x, residual=r) if residual else whole(x),
        lambda: f(separate(x) + r if residual else separate(x)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, r])
            y = run()
        found.append([y, *tape.gradient(y, [x, r] if residual else [x], dy)])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)


def test_an_activation_of_ones_own():
    layer = GroupNorm(2, activation=lambda t: t**2)
    np.testing.assert_allclose(layer(draw(SMALL)), GroupNorm(2)(draw(SMALL)) ** 2, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "float16"])
@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_precision_policies(policy, shape):
    layer = GroupNorm(4, activation="relu", dtype=policy)
    x = draw(shape, 5.0)
    with tf.GradientTape() as tape:
        seen = tf.cast(x, layer.compute_dtype)
        tape.watch(seen)
        y = layer(seen)
    dx = tape.gradient(y, seen)
    want = normalize(np.array(seen, "float64"), np.ones(8 if shape is SMALL else 16), 0,
                     over="group", groups=4)  # fmt: skip
    off = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-12}[layer.compute_dtype]
    assert y.dtype == dx.dtype == layer.compute_dtype
    assert layer.gamma.dtype == layer.variable_dtype
    np.testing.assert_allclose(np.array(y, "float64"), np.maximum(want, 0), atol=off, rtol=off)


def test_an_empty_batch():
    y, dx, dgamma, _ = differentiate(with_weights(GroupNorm(4), SMALL)[0], "open")(
        *np.zeros((2, 0, 7, 5, 8), "float32")
    )
    assert y.shape == dx.shape == (0, 7, 5, 8)
    assert np.array_equal(dgamma, np.zeros(8))


def test_masks_pass_through():
    x = keras.layers.Masking()(np.ones((2, 3, 8), "float32"))
    assert GroupNorm(2)(x)._keras_mask is not None


def test_regularizer_constraint_center_and_scale():
    layer = GroupNorm(2, gamma_regularizer="l2", beta_constraint="non_neg", scale=True)
    layer.build(SMALL)
    assert float(layer.losses[0]) == pytest.approx(0.01 * 8)
    assert isinstance(layer.beta.constraint, keras.constraints.NonNeg)
    bare = GroupNorm(2, center=False, scale=False)
    np.testing.assert_allclose(
        bare(draw(SMALL)), normalize(draw(SMALL), 1.0, 0.0, over="group", groups=2), atol=3e-6
    )
    assert bare.weights == []


def test_it_learns_in_fit_with_a_last_part_of_a_batch():
    keras.utils.set_random_seed(1)
    x = draw((70, 16, 16, 3))
    y = (x.mean((1, 2, 3)) > 0).astype("int64")
    x[y == 1, :, :8] *= 3
    model = keras.Sequential(
        [
            keras.layers.Conv2D(16, 3, padding="same"),
            GroupNorm(4, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, batch_size=32, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
