"""Kaiming initializers against their formula and against numerical integration."""

import math

import keras
import numpy as np
import pytest

from kcnn.initializers import KaimingNormal, KaimingUniform, gain

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


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "elu", "mish", "softplus"])
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
