"""Blocks against the same computation spelled out with Keras's own layers."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import kcnn
from kcnn.layers import (
    BasicBlock,
    BottleneckBlock,
    ConvNeXtBlock,
    ConvNormAct,
    InvertedResidual,
    PlainBlock,
    PreActBlock,
    SqueezeExcitation,
    StandardizedConv2D,
    StochasticDepth,
)
from kcnn.layers._residual import ResidualBlock
from kcnn.layers._typed import BlockArguments, GroupedNormArguments


def image(shape=(2, 9, 9, 8), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def run(layer, *args, **kwargs):
    return np.asarray(layer(*args, **kwargs))


def shuffle(layer, seed=1):
    """Give every weight of a built layer random values (variances positive)."""
    rng = np.random.default_rng(seed)
    for w in layer.weights:
        if "seed" not in w.path:
            values = rng.uniform(0.5, 1.5, w.shape)
            w.assign(values if "variance" in w.path else 0.3 * (values - 0.8))


def cna(part, x, *, residual=None, activation=True):
    """What a `ConvNormAct` with batch norm computes at inference, in NumPy around the conv."""
    x = run(part.conv, x)
    if part.norm is not None:
        gamma, beta, mean, variance = (np.asarray(w, "float64") for w in part.norm.weights)
        x = gamma * (x - mean) / np.sqrt(variance + part.norm.epsilon) + beta
    if residual is not None:
        x = x + residual
    return np.maximum(x, 0) if activation else x


@pytest.mark.parametrize("strides", [1, 2])
def test_basic_block(strides):
    block = BasicBlock(12, strides=strides)
    x = image()
    block(x)
    shuffle(block)
    side = cna(block.shortcut, x, activation=False)
    want = cna(block.conv_2, cna(block.conv_1, x), residual=side)
    np.testing.assert_allclose(run(block, x), want, atol=1e-4)


def test_plain_block_has_no_shortcut():
    block, x = PlainBlock(8), image()
    block(x)
    shuffle(block)
    assert block.shortcut is None
    np.testing.assert_allclose(run(block, x), cna(block.conv_2, cna(block.conv_1, x)), atol=1e-4)


@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_bottleneck_block(stride_on):
    block, x = BottleneckBlock(4, strides=2, stride_on=stride_on), image()
    block(x)
    shuffle(block)
    strides = [c.conv.strides[0] for c in (block.conv_1, block.conv_2, block.conv_3)]
    assert strides == ([1, 2, 1] if stride_on == "3x3" else [2, 1, 1])
    side = cna(block.shortcut, x, activation=False)
    want = cna(block.conv_3, cna(block.conv_2, cna(block.conv_1, x)), residual=side)
    np.testing.assert_allclose(run(block, x), want, atol=1e-4)


def test_preactivation_block():
    block, x = PreActBlock(12, strides=2), image()
    block(x)
    shuffle(block)
    gamma, beta, mean, variance = (np.asarray(w) for w in block.preact.normalization.weights)
    active = np.maximum(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta, 0)
    want = run(block.conv_2.conv, cna(block.conv_1, active)) + run(block.shortcut.conv, active)
    np.testing.assert_allclose(run(block, x), want, atol=1e-4)


def test_preactivation_identity_starts_from_the_raw_input():
    block, x = PreActBlock(8, zero_init_residual=True), image()
    assert np.array_equal(run(block, x), x)


# torchvision.models.resnet, one block each: parameters that are trained.
@pytest.mark.parametrize(
    ("block", "channels", "trained"),
    [
        (BasicBlock(64), 64, 73_984),
        (BasicBlock(128, strides=2), 64, 230_144),
        (BottleneckBlock(64), 64, 75_008),
        (BottleneckBlock(64), 256, 70_400),
        (BottleneckBlock(128, strides=2), 256, 379_392),
    ],
)
def test_parameters_of_the_published_networks(block, channels, trained):
    block.build((None, 8, 8, channels))
    assert sum(int(np.prod(w.shape)) for w in block.trainable_weights) == trained


def test_biases_as_keras_applications_has_them():
    block = BottleneckBlock(64, use_bias=True, norm_kwargs={"epsilon": 1.001e-5})
    block.build((None, 8, 8, 64))
    assert block.count_params() == 75_008 + 3 * 0 + 64 + 64 + 256 + 256 + 2 * (64 + 64 + 512)
    assert block.shortcut.norm.epsilon == 1.001e-5
    block = PreActBlock(64, bottleneck=True, use_bias=True)
    block.build((None, 8, 8, 64))
    biased = [p.conv.use_bias for p in (block.conv_1, block.conv_2, block.conv_3, block.shortcut)]
    assert biased == [False, False, True, True]


@pytest.mark.parametrize(("norm", "biased"), [("batch", False), ("group", False), ("none", True)])
def test_a_bias_only_where_no_norm_follows(norm, biased):
    layer = ConvNormAct(4, norm=norm)
    layer.build((None, 8, 8, 3))
    assert layer.conv.use_bias is biased


@pytest.mark.parametrize("side", [8, 9])
def test_symmetric_padding_is_that_of_pytorch(side):
    layer = ConvNormAct(4, 3, strides=2, padding="symmetric", norm="none", activation=None)
    x = image((1, side, side, 3))
    layer.build(x.shape)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = np.asarray(layer.conv.kernel)
    out = (side + 1) // 2
    want = np.zeros((1, out, out, 4))
    for i in range(out):
        for j in range(out):
            window = padded[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            want[0, i, j] = np.tensordot(window, kernel, 3)
    np.testing.assert_allclose(run(layer, x), want, atol=1e-5)
    assert layer.compute_output_shape((1, side, side, 3)) == want.shape


def test_shortcuts_when_the_shape_changes():
    x = image((2, 9, 9, 8))
    pad = BasicBlock(12, strides=2, shortcut="identity-pad", zero_init_residual=True)
    y = run(pad, x)
    np.testing.assert_array_equal(y[..., :8], np.maximum(x[:, ::2, ::2], 0))
    assert not y[..., 8:].any()
    pooled = BasicBlock(12, strides=2, shortcut="avgpool-conv")
    pooled(x)
    shuffle(pooled)
    mean = np.asarray(keras.layers.AveragePooling2D(2, padding="same")(x))
    side = cna(pooled.shortcut, mean, activation=False)
    want = cna(pooled.conv_2, cna(pooled.conv_1, x), residual=side)
    np.testing.assert_allclose(run(pooled, x), want, atol=1e-4)
    same = BasicBlock(8)
    same.build(x.shape)
    assert same.shortcut is None


@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "group", "none"])
@pytest.mark.parametrize("cls", [BasicBlock, BottleneckBlock])
def test_zero_init_makes_a_block_its_shortcut(cls, norm):
    block = cls(2, norm=norm, zero_init_residual=True) if cls is BottleneckBlock else cls(
        8, norm=norm, zero_init_residual=True
    )  # fmt: skip
    x = image()
    np.testing.assert_allclose(run(block, x), np.maximum(x, 0), atol=1e-6)


@pytest.mark.parametrize("cls", [BasicBlock, PlainBlock, BottleneckBlock, PreActBlock])
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_channels_first_computes_the_same(cls, norm):
    last = cls(8, strides=2, norm=norm, data_format="channels_last")
    first = cls(8, strides=2, norm=norm, data_format="channels_first")
    x = image((2, 8, 8, 8))
    last(x)
    first.build((2, 8, 8, 8))
    shuffle(last)
    first.set_weights(last.get_weights())
    # TensorFlow's own convolution wants a GPU for this layout; XLA has one for the CPU.
    y = np.asarray(tf.function(first, jit_compile=True)(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), run(last, x), atol=2e-5)


def test_kernels_are_kaiming_normal_with_the_gain_of_the_activation():
    layer = ConvNormAct(256, 3, activation="relu")
    layer.build((None, 8, 8, 128))
    assert np.std(np.asarray(layer.conv.kernel)) == pytest.approx((2 / 9 / 256) ** 0.5, rel=0.01)
    layer = ConvNormAct(256, 3, activation=None)
    layer.build((None, 8, 8, 128))
    assert np.std(np.asarray(layer.conv.kernel)) == pytest.approx((1 / 9 / 256) ** 0.5, rel=0.01)


def test_training_reaches_the_norms_inside():
    x = image()
    block = BasicBlock(8)
    run(block, x, training=False)
    before = np.array(block.conv_1.norm.moving_mean)
    run(block, x, training=False)
    assert np.array_equal(before, block.conv_1.norm.moving_mean)
    run(block, x, training=True)
    assert not np.array_equal(before, block.conv_1.norm.moving_mean)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvNormAct(4, padding="full"), "Received: 'full'"),
        (lambda: ConvNormAct(4, norm="bach"), "Did you mean 'batch'"),
        (lambda: BasicBlock(4, shortcut="add"), "avgpool-conv.*Received: 'add'"),
        (lambda: BottleneckBlock(4, stride_on="5x5"), "Received: '5x5'"),
        (lambda: PlainBlock(4, drop_path=0.1), "use BasicBlock"),
        (lambda: StochasticDepth(1.0), "Received: 1.0"),
        (
            lambda: BasicBlock(4, norm="group", norm_kwargs={"groups": 3})(image()),
            "groups=3 for channels=4",
        ),
        (lambda: BasicBlock(4, padding="valid"), "Received: 'valid'"),
        (lambda: ConvNormAct(4, groups=3), "groups=3 must divide filters=4"),
        (lambda: ConvNormAct(4, groups=4)(image()), "depthwise.*shape .2, 9, 9, 8."),
        (lambda: PlainBlock(4, se_ratio=0.1), "use BasicBlock"),
        (lambda: BasicBlock(4, shortcut="identity-pad")(image()), "channels=8 are more than"),
    ],
)
def test_errors_say_what_came_and_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_residual_may_be_given_to_a_single_layer():
    layer, x = ConvNormAct(8, norm="instance"), image()
    bare = ConvNormAct(8, norm="instance", activation=None)
    r = image(seed=4)
    layer(x)
    bare(x)
    bare.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        run(layer, x, residual=r), np.maximum(run(bare, x) + r, 0), atol=1e-5
    )
    assert ops.shape(layer(x)) == (2, 9, 9, 8)


def test_standardized_weights_have_mean_0_and_variance_1_for_each_filter():
    layer, x = StandardizedConv2D(5, 3, use_bias=False), image()
    layer(x)
    kernel = np.random.default_rng(3).normal(2, 3, layer.kernel.shape)
    layer.kernel.assign(kernel)
    axes = (0, 1, 2)
    whole = (kernel - kernel.mean(axes)) / np.sqrt(kernel.var(axes) + 1e-6)
    plain = keras.layers.Conv2D(5, 3, use_bias=False)
    plain.build(x.shape)
    plain.kernel.assign(whole)
    np.testing.assert_allclose(run(layer, x), run(plain, x), atol=2e-5)
    layer.kernel.assign(7 * kernel - 2)  # neither its scale nor its mean counts
    np.testing.assert_allclose(run(layer, x), run(plain, x), atol=2e-5)


def test_squeeze_and_excitation_weighs_the_channels():
    layer, x = SqueezeExcitation(3, gate="hard_sigmoid"), image()
    layer(x)
    shuffle(layer)
    (w1, b1), (w2, b2) = (
        [np.asarray(w, "float64") for w in part.weights] for part in (layer.reduce, layer.expand)
    )
    hidden = np.maximum(x.mean((1, 2)) @ w1[0, 0] + b1, 0)
    gate = np.clip((hidden @ w2[0, 0] + b2 + 3) / 6, 0, 1)
    np.testing.assert_allclose(run(layer, x), x * gate[:, None, None], atol=1e-6)


def test_a_grouped_convolution_is_one_for_each_group():
    layer, x = ConvNormAct(6, groups=2, norm="none", activation=None), image()
    layer(x)
    kernel = np.asarray(layer.conv.kernel)
    halves = []
    for g in range(2):
        part = keras.layers.Conv2D(3, 3, padding="same", use_bias=False)
        part.build((2, 9, 9, 4))
        part.kernel.assign(kernel[..., 3 * g : 3 * g + 3])
        halves.append(run(part, x[..., 4 * g : 4 * g + 4]))
    np.testing.assert_allclose(run(layer, x), np.concatenate(halves, -1), atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: ConvNeXtBlock(layer_scale=0.5, **k),
        lambda **k: ConvNeXtBlock(norm="group", **k),
        lambda **k: InvertedResidual(8, excite_filters=2, norm="group", **k),
        lambda **k: InvertedResidual(8, strides=2, fused=True, **k),
        lambda **k: BottleneckBlock(4, groups=2, se_ratio=0.5, weight_standardization=True, **k),
    ],
)
def test_new_blocks_compute_the_same_with_channels_first(make):
    last, first = make(data_format="channels_last"), make(data_format="channels_first")
    # Keras 3.15 adds a bias along the wrong axis where the width is the number of channels.
    x = image((2, 9, 7, 8))
    last(x)
    first.build((2, 8, 9, 7))
    shuffle(last)
    first.set_weights(last.get_weights())
    y = np.asarray(tf.function(first, jit_compile=True)(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), run(last, x), atol=2e-5)


def test_a_registered_layer_tells_its_arguments():
    for cls in (getattr(kcnn.layers, name) for name in kcnn.layers.__all__ if name != "norm"):
        parameters = inspect.signature(cls).parameters
        base = {"kernel_size"} if cls is kcnn.layers.StandardizedConv2D else {"name", "dtype"}
        assert base <= set(parameters), cls
        assert inspect.getdoc(cls)
    block = inspect.signature(BasicBlock).parameters
    assert next(iter(block)) == "filters"
    assert block["filters"].annotation is int
    assert block["zero_init_residual"].default is False
    bottleneck = inspect.signature(BottleneckBlock).parameters
    assert {"expansion", "groups", "norm", "drop_path"} <= set(bottleneck)


def test_what_blocks_hand_on_is_typed_by_the_names_that_exist():
    """The TypedDicts that editors read and the constructor's own arguments."""
    own = set(inspect.signature(ResidualBlock).parameters) - {"filters"}
    base = {"activity_regularizer", "autocast", "kwargs"}
    assert set(BlockArguments.__annotations__) == own - base
    own = set(inspect.signature(kcnn.layers.InstanceNorm).parameters)
    assert set(GroupedNormArguments.__annotations__) == own - base


class Mine(BasicBlock):
    def __init__(self, channels, twice=False, **kwargs):
        super().__init__(channels, **kwargs)


def test_a_subclass_of_a_block_has_a_signature_of_its_own():
    parameters = list(inspect.signature(Mine).parameters)
    assert parameters[:2] == ["channels", "twice"]
    assert "drop_path" in parameters
    assert "inputs" in inspect.signature(Mine(4).call).parameters
