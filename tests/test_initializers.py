"""Kaiming initializers against their formula and against numerical integration."""

import math

import keras
import numpy as np
import pytest

from kcnn.initializers import KaimingNormal, KaimingUniform, fans, gain

SHAPE = (3, 3, 64, 128)  # fan_in 576, fan_out 1152


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 576), ("fan_out", 1152)])
@pytest.mark.parametrize("cls", [KaimingNormal, KaimingUniform])
def test_variance_is_gain_squared_over_fan(cls, mode, fan):
    w = np.asarray(cls("relu", mode=mode, seed=1)(SHAPE), "float64")
    assert w.mean() == pytest.approx(0, abs=4 * math.sqrt(2 / fan / w.size))
    assert w.var() == pytest.approx(2 / fan, rel=0.02)


def test_normal_is_not_truncated_and_uniform_ends_at_its_bound():
    normal = np.asarray(KaimingNormal(seed=1)(SHAPE)) / math.sqrt(2 / 576)
    uniform = np.asarray(KaimingUniform(seed=1)(SHAPE)) / math.sqrt(6 / 576)
    assert np.abs(normal).max() > 3.5
    assert np.mean(np.abs(normal) > 2) == pytest.approx(0.0455, rel=0.1)
    assert 0.999 < np.abs(uniform).max() <= 1.0


def test_dense_kernels_count_their_inputs():
    w = np.asarray(KaimingNormal("linear", seed=2)((400, 300)), "float64")
    assert w.var() == pytest.approx(1 / 400, rel=0.03)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "hard_silu", "elu", "mish", "softplus"])
def test_gain_keeps_the_second_moment_of_a_normal_variable(name):
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    f = np.asarray(keras.activations.get(name)(z.astype("float32")), "float64")
    assert gain(name) ** 2 * np.sum(f**2 * density) == pytest.approx(1, rel=1e-4)


def test_gain_of_a_leaky_relu_depends_on_its_slope():
    assert gain("leaky_relu", 0.0) == pytest.approx(gain("relu"))
    assert gain("leaky_relu", 1.0) == pytest.approx(gain("linear"))
    w = np.asarray(KaimingNormal("leaky_relu", negative_slope=0.5, seed=3)(SHAPE), "float64")
    assert w.var() == pytest.approx(2 / 1.25 / 576, rel=0.02)


def test_a_seed_reproduces_and_none_differs():
    assert np.array_equal(KaimingNormal(seed=7)(SHAPE), KaimingNormal(seed=7)(SHAPE))
    assert not np.array_equal(KaimingNormal()(SHAPE), KaimingNormal()(SHAPE))
    keras.utils.set_random_seed(3)
    first = KaimingNormal()(SHAPE)
    keras.utils.set_random_seed(3)
    assert np.array_equal(first, KaimingNormal()(SHAPE))


@pytest.mark.parametrize("cls", [KaimingNormal, KaimingUniform])
def test_config_round_trip(cls):
    made = cls("leaky_relu", mode="fan_out", negative_slope=0.1, seed=5)
    again = keras.initializers.deserialize(keras.initializers.serialize(made))
    assert type(again) is cls
    assert again.get_config() == made.get_config()
    assert np.array_equal(made(SHAPE), again(SHAPE))


def test_errors_name_what_came_and_what_is_nearest():
    with pytest.raises(ValueError, match=r"'rellu'.*'relu'"):
        gain("rellu")
    with pytest.raises(ValueError, match=r"fan_in.*'fan_avg'"):
        KaimingNormal(mode="fan_avg")


# A layer whose every output is connected to `fan_in` inputs, counted on its impulse responses.
@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (lambda: keras.layers.Conv2D(8, 3, padding="same"), {}),
        (lambda: keras.layers.Conv2D(8, 3, padding="same", groups=2), {"groups": 2}),
        (lambda: keras.layers.DepthwiseConv2D(5, padding="same"), {"kernel": "depthwise"}),
        (
            lambda: keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            {"kernel": "depthwise"},
        ),
        (lambda: keras.layers.Conv2DTranspose(8, 3, padding="same"), {"kernel": "transposed"}),
        (
            lambda: keras.layers.Conv2DTranspose(8, 4, strides=2, padding="same"),
            {"kernel": "transposed", "strides": 2},
        ),
    ],
    ids=["conv", "grouped", "depthwise", "depthwise x2", "transposed", "transposed strided"],
)
def test_fans_count_the_connections_of_the_layer(layer, options):
    """With ones for weights, an output sums the inputs it sees and an input's gradient the
    outputs it reaches."""
    import tensorflow as tf

    made = layer()
    x = tf.ones((1, 12, 12, 4))
    made.build(x.shape)
    made.kernel.assign(np.ones(made.kernel.shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = made(x)
    gradient = tape.gradient(y, x)
    middle = slice(y.shape[1] // 2 - 2, y.shape[1] // 2 + 2)
    seen = np.mean(np.asarray(y)[0, middle, middle])
    reached = np.mean(np.asarray(gradient)[0, 5:7, 5:7])
    assert fans(made.kernel.shape, **options) == (seen, reached)


def test_fans_are_those_of_pytorch_for_each_group_by_itself():
    """torch.nn.init._calculate_fan_in_and_fan_out: size(1) and size(0) times the field."""

    def torch_fans(out, into, *space):
        return into * math.prod(space), out * math.prod(space)

    assert fans((3, 3, 64, 128)) == torch_fans(128, 64, 3, 3)
    assert fans((3, 3, 16, 128), groups=4) == torch_fans(32, 16, 3, 3)
    assert fans((3, 3, 32, 1), kernel="depthwise") == torch_fans(1, 1, 3, 3)
    assert fans((400, 300)) == torch_fans(300, 400)
    assert fans((7,)) == (7, 7)


def test_one_initializer_without_a_seed_gives_other_values_in_every_call():
    start = KaimingNormal()
    assert not np.array_equal(start(SHAPE), start(SHAPE))
    fixed = KaimingUniform(seed=1)
    assert np.array_equal(fixed(SHAPE), fixed(SHAPE))
    moving = KaimingNormal(seed=keras.random.SeedGenerator(3))
    assert not np.array_equal(moving(SHAPE), moving(SHAPE))
    again = KaimingNormal.from_config(moving.get_config())
    assert isinstance(again.seed, keras.random.SeedGenerator)
