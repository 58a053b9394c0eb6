"""Every public layer through the same checks: a table that no layer may be missing from."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kcnn.layers
from kcnn.layers import (
    BasicBlock,
    BottleneckBlock,
    ConvNeXtBlock,
    ConvNormAct,
    GroupNorm,
    InstanceNorm,
    InvertedResidual,
    LayerScale,
    PlainBlock,
    PreActBlock,
    SqueezeExcitation,
    StandardizedConv2D,
    StochasticDepth,
)

SHAPE = (2, 6, 6, 4)

# A name that says what is special -> a function that makes the layer.
TABLE = {
    "GroupNorm": lambda **k: GroupNorm(2, activation="relu", **k),
    "GroupNorm auto": lambda **k: GroupNorm("auto", gamma_regularizer="l2", center=False, **k),
    "InstanceNorm": lambda **k: InstanceNorm(beta_initializer="ones", **k),
    "ConvNormAct": lambda **k: ConvNormAct(6, 3, strides=2, padding="symmetric", **k),
    "ConvNormAct class": lambda **k: ConvNormAct(6, norm=keras.layers.LayerNormalization, **k),
    "ConvNormAct gelu": lambda **k: ConvNormAct(6, 5, norm="group", activation="gelu", **k),
    "ConvNormAct grouped": lambda **k: ConvNormAct(6, groups=2, weight_standardization=True, **k),
    "ConvNormAct depthwise": lambda **k: ConvNormAct(
        4, 5, groups=4, strides=2, padding="symmetric", activation="silu", **k
    ),
    "PlainBlock": lambda **k: PlainBlock(6, strides=2, norm="layer", **k),
    "BasicBlock": lambda **k: BasicBlock(6, strides=2, drop_path=0.2, seed=1, **k),
    "BasicBlock pad": lambda **k: BasicBlock(6, strides=2, shortcut="identity-pad", **k),
    "BasicBlock pool": lambda **k: BasicBlock(
        6, strides=2, norm="group", shortcut="avgpool-conv", kernel_regularizer="l2", **k
    ),
    "BottleneckBlock": lambda **k: BottleneckBlock(
        3, expansion=2, strides=2, stride_on="1x1", use_bias=True, **k
    ),
    "BottleneckBlock groups": lambda **k: BottleneckBlock(
        4, groups=2, width_per_group=32, se_ratio=0.25, weight_standardization=True, **k
    ),
    "InvertedResidual": lambda **k: InvertedResidual(
        4, kernel_size=5, excite_filters=2, excite_gate="hard_sigmoid", drop_path=0.2, seed=1, **k
    ),
    "InvertedResidual fused": lambda **k: InvertedResidual(
        6, strides=2, expansion=2, fused=True, norm="group", activation="silu", **k
    ),
    "InvertedResidual alone": lambda **k: InvertedResidual(4, expansion=1, fused=True, **k),
    "ConvNeXtBlock": lambda **k: ConvNeXtBlock(layer_scale=0.5, drop_path=0.2, seed=1, **k),
    "ConvNeXtBlock group": lambda **k: ConvNeXtBlock(
        kernel_size=3, expansion=2, layer_scale=None, norm="group", kernel_regularizer="l2", **k
    ),
    "LayerScale": lambda **k: LayerScale(0.1, **k),
    "SqueezeExcitation": lambda **k: SqueezeExcitation(2, gate="hard_sigmoid", **k),
    "StandardizedConv2D": lambda **k: StandardizedConv2D(6, 3, strides=2, padding="same", **k),
    "PreActBlock": lambda **k: PreActBlock(6, strides=2, dropout=0.2, norm="group", **k),
    "PreActBlock deep": lambda **k: PreActBlock(3, bottleneck=True, norm="instance", **k),
    "StochasticDepth": lambda **k: StochasticDepth(0.3, seed=1, **k),
}
every_layer = pytest.mark.parametrize("make", TABLE.values(), ids=TABLE.keys())


def image(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def model_of(layer, shape=(None, None, 4)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def test_no_public_layer_is_missing():
    public = {n for n in kcnn.layers.__all__ if isinstance(getattr(kcnn.layers, n), type)}
    assert public == {type(make()).__name__ for make in TABLE.values()}


@every_layer
def test_shapes_and_weights(make):
    layer = make()
    y = layer(image())
    assert tuple(y.shape) == tuple(layer.compute_output_shape(SHAPE))
    assert tuple(model_of(make()).output_shape) == (None, *layer.compute_output_shape(
        (None, None, None, 4)
    )[1:])  # fmt: skip
    assert len({w.path for w in layer.weights}) == len(layer.weights)


@every_layer
def test_configuration_round_trip(make):
    layer = make(name="some_name")
    layer(image())
    before = layer.get_config()
    again = type(layer).from_config(before)
    assert again.get_config() == before
    assert [w.shape for w in again.weights] == []
    again(image())
    assert layer.get_config() == before, "calling changed the configuration"
    assert [tuple(w.shape) for w in again.weights] == [tuple(w.shape) for w in layer.weights]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@every_layer
def test_dtype_policies(make, policy):
    layer = make(dtype=policy)
    y = layer(image())
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    kinds = {w.dtype for w in layer.trainable_weights}
    assert kinds <= {layer.variable_dtype}
    assert np.isfinite(np.asarray(tf.cast(y, "float32"))).all()


@every_layer
def test_xla_and_graph_agree_with_eager(make):
    layer = make()
    x = tf.constant(image())
    want = layer(x, training=False) if "training" in layer._call_signature.parameters else layer(x)
    for jit in (False, True):
        got = tf.function(lambda x: layer(x), jit_compile=jit)(x)
        np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.slow
def test_one_compiled_step_moves_every_layer():
    """All side by side in one network, as XLA compiles each program for seconds."""
    inputs = keras.Input((6, 6, 4))
    layers = [make() for make in TABLE.values()]
    pooled = [keras.layers.Flatten()(layer(inputs)) for layer in layers]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(pooled)))
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=True)
    before = [layer.get_weights() for layer in layers]
    assert np.isfinite(model.train_on_batch(image((8, 6, 6, 4)), image((8, 1))))
    for layer, weights in zip(layers, before, strict=True):
        after = layer.get_weights()
        assert all(np.isfinite(w).all() for w in after)
        moved = any(not np.array_equal(a, b) for a, b in zip(weights, after, strict=True))
        assert moved or not layer.trainable_weights, layer.name


@every_layer
def test_gradients_against_finite_differences(make):
    layer = make(dtype="float64")
    x = tf.constant(image(), "float64")
    weight = tf.constant(image(tuple(layer(x).shape), 1), "float64")
    rng = np.random.default_rng(2)
    for w in layer.trainable_weights:  # away from zeros, where relu has its kink
        w.assign(rng.uniform(0.2, 0.8, w.shape) * rng.choice([-1, 1], w.shape))
    tensors = [x, *layer.trainable_weights]

    def loss(x):
        return tf.reduce_sum(weight * layer(x))

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    gradients = tape.gradient(value, [x, *(w.value for w in layer.trainable_weights)])
    for i, (t, g) in enumerate(zip(tensors, gradients, strict=True)):
        way, h = rng.standard_normal(t.shape), 1e-6
        if i == 0:
            ends = [loss(x + s * h * way) for s in (1, -1)]
        else:
            start = np.array(t)
            ends = []
            for s in (1, -1):
                t.assign(start + s * h * way)
                ends.append(loss(x))
            t.assign(start)
        want = float(ends[0] - ends[1]) / (2 * h)
        assert float(tf.reduce_sum(g * way)) == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_keras_files_open_in_a_fresh_process(tmp_path):
    x = image()
    np.save(tmp_path / "x.npy", x)
    for i, make in enumerate(TABLE.values()):
        model = model_of(make())
        model.save(tmp_path / f"{i}.keras")
        np.save(tmp_path / f"{i}.npy", model.predict(x, verbose=0))
    code = (
        "import sys, keras, kcnn, numpy as np\n"
        "folder = sys.argv[1]\n"
        "x = np.load(folder + '/x.npy')\n"
        f"for i in range({len(TABLE)}):\n"
        "    y = keras.models.load_model(f'{folder}/{i}.keras').predict(x, verbose=0)\n"
        "    np.testing.assert_allclose(y, np.load(f'{folder}/{i}.npy'), atol=1e-5)\n"
        "print('all', i + 1)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"all {len(TABLE)}", done.stderr[-2000:]
