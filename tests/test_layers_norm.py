"""Normalization layers against the one formula in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layers_oracle import gradients, normalize

from kcnn.layers import GroupNorm, InstanceNorm, norm

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


@pytest.mark.parametrize("shape", [(6, 8), (3, 9, 8), (2, 3, 4, 5, 8), (3, 1, 1, 8), (5, 2, 2, 8)])
def test_any_rank_and_tiny_maps(shape):
    layer, gamma, beta = with_weights(GroupNorm(2), shape)
    x, dy = draw(shape, 3.0), draw(shape, seed=1)
    y, dx, *_ = differentiate(layer)(x, dy)
    np.testing.assert_allclose(y, normalize(x, gamma, beta, over="group", groups=2), atol=3e-6)
    np.testing.assert_allclose(dx, gradients(x, dy, gamma, groups=2)[0], atol=2e-5)


@pytest.mark.parametrize("side", [16, 17, 19, 23])
@pytest.mark.parametrize("axis", [-1, 1])
def test_compiled_kernels_for_sizes_that_do_not_divide(side, axis):
    shape = (2, side, side, 16)
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
def test_a_folded_activation_is_the_same_as_a_separate_one(shape, activation, residual):
    folded, *_ = with_weights(GroupNorm(2, activation=activation), shape)
    separate, *_ = with_weights(keras.layers.GroupNormalization(2, epsilon=1e-5), shape)
    x, r, dy = (tf.constant(draw(shape, seed=i)) for i in range(3))
    f = keras.activations.get(activation)
    found = []
    for run in (
        lambda: folded(x, residual=r) if residual else folded(x),
        lambda: f(separate(x) + r if residual else separate(x)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, r])
            y = run()
        found.append([y, *tape.gradient(y, [x, r] if residual else [x], dy)])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)


def test_an_activation_that_cannot_be_folded_still_works():
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
