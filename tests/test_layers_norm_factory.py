"""`norm` by kind, class and name, and what it says when something is wrong."""

import keras
import numpy as np
import pytest

from kcnn.layers import GroupNorm, InstanceNorm, norm


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(16, 8), (24, 12), (32, 16), (64, 32), (96, 32), (100, 25), (128, 32), (7, 1), (1, 1), (2, 1)],
)
def test_groups_are_near_32_and_leave_two_channels(channels, groups):
    layer = norm("group", channels=channels)
    assert layer.groups == groups
    unknown = norm("group")
    unknown.build((None, 4, 4, channels))
    assert unknown.group_count == groups
    assert unknown.get_config()["groups"] == "auto"


def test_given_groups_are_kept_and_checked():
    assert norm("group", channels=64, groups=4).groups == 4
    with pytest.raises(ValueError, match=r"groups=6 for channels=64; try groups=2"):
        norm("group", channels=64, groups=6)


def test_none_is_the_activation_alone():
    x = np.array([[-1.0, 2.0]], "float32")
    assert np.array_equal(norm("none")(x), x)
    assert np.array_equal(norm("none", activation="relu")(x), [[0.0, 2.0]])


@pytest.mark.parametrize("kind", ["batch", "layer", "instance", "group", "LayerNormalization"])
def test_activation_follows_the_norm(kind):
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 8)).astype("float32")
    bare, active = norm(kind, channels=8), norm(kind, channels=8, activation="relu")
    np.testing.assert_allclose(active(x), np.maximum(bare(x), 0), atol=1e-6)


def test_classes_and_their_names():
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    assert isinstance(norm(Mine), Mine)
    assert isinstance(norm(GroupNorm, groups=2, data_format="channels_first"), GroupNorm)
    assert norm(GroupNorm, groups=2, data_format="channels_first").axis == 1
    assert isinstance(norm("kcnn>InstanceNorm"), InstanceNorm)
    layer = norm("LayerNormalization", data_format="channels_first")
    assert isinstance(layer, keras.layers.LayerNormalization)
    assert layer.axis == 1


def test_batch_norm_follows_the_residual_networks():
    layer = norm("batch", data_format="channels_first")
    assert (layer.axis, layer.momentum, layer.epsilon) == (1, 0.9, 1e-5)
    assert norm("batch", momentum=0.5).momentum == 0.5
    assert not layer.synchronized
    assert norm("sync_batch").synchronized
    assert norm("sync_batch").momentum == 0.9


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("gruop", "'group'"), ("batchnorm", "'batch'"), ("Dense2", "Choose"), (7, "Choose")],
)
def test_an_unknown_kind_gets_the_nearest(kind, hint):
    with pytest.raises(ValueError, match=f"Received: .*{kind}.*{hint}"):
        norm(kind)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroupNorm(0), "positive integer.*Received: 0"),
        (lambda: GroupNorm(-2), "-1 for one group a channel. Received: -2"),
        (lambda: GroupNorm(2, axis=0), "other than 0"),
        (lambda: GroupNorm(2, axis=(1, 2)), "one integer"),
        (lambda: GroupNorm(2, epsilon=0), "epsilon must be positive"),
        (lambda: GroupNorm(4)(np.ones((1, 2, 2, 6))), r"groups=4 for channels=6; try groups=2"),
        (lambda: GroupNorm(4, axis=5)(np.ones((1, 2, 2, 8))), "axis=5"),
        (lambda: GroupNorm(4).build((None, 3, 3, None)), "must be known"),
    ],
)
def test_errors_say_what_came_and_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_minus_one_group_means_one_a_channel_as_in_keras():
    layer = GroupNorm(-1)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 6)).astype("float32")
    theirs = keras.layers.GroupNormalization(-1, epsilon=1e-5)
    np.testing.assert_allclose(layer(x), theirs(x), atol=1e-5)
    assert layer.get_config()["groups"] == -1
