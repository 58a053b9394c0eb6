"""The compiled kernels stay an inner matter: exports, changing sizes, replicas."""

import gc
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kcnn.layers import BasicBlock, GroupNorm
from kcnn.layers.group_norm import tensorflow as kernels

SIDE = 24


@pytest.fixture
def compiled(monkeypatch):
    """How many compiled kernels the layers of this test hold."""
    monkeypatch.setattr(kernels, "_functions", weakref.WeakValueDictionary())
    return lambda: sum(key[0] == "compiled" for key in kernels._functions)


def network():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = BasicBlock(8, norm="group")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(BasicBlock(8, norm="instance")(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def functions_of(folder):
    """Everything a SavedModel holds, as text."""
    return str(SavedModel.FromString((folder / "saved_model.pb").read_bytes()))


@pytest.mark.parametrize("way", ["model.export", "tf.saved_model.save"])
def test_an_exported_graph_holds_nothing_for_xla_alone(tmp_path, way, compiled):
    model = network()
    x = np.random.default_rng(0).standard_normal((16, SIDE, SIDE, 3)).astype("float32")
    model.fit(x, np.arange(16) % 2, batch_size=8, verbose=0)
    assert compiled() > 0, "training did not use the compiled kernels"
    if way == "model.export":
        model.export(tmp_path, verbose=False)
    else:
        serve = tf.function(model.__call__, input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3))])
        tf.saved_model.save(model, str(tmp_path), signatures=serve.get_concrete_function())
    held = functions_of(tmp_path)
    assert "Rsqrt" in held
    assert "Xla" not in held.replace('_XlaMustCompile"\n      value {\n        b: false', "")
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    (y,) = served(tf.constant(x)).values()
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_litert_runs_it_with_its_own_operations_alone():
    lite = getattr(tf, "lite", None)
    if lite is None:
        pytest.skip("this TensorFlow has no LiteRT converter")
    model = network()
    x = np.random.default_rng(0).standard_normal((8, SIDE, SIDE, 3)).astype("float32")
    model.fit(x, np.arange(8) % 2, verbose=0)
    converter = lite.TFLiteConverter.from_keras_model(model)  # refuses any other operation
    runner = lite.Interpreter(model_content=converter.convert())
    runner.resize_tensor_input(0, x.shape)
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], x)
    runner.invoke()
    y = runner.get_tensor(runner.get_output_details()[0]["index"])
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)


def gradient(layer):
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(y, x)

    return run


def test_no_kernel_is_compiled_for_images_of_unknown_size(compiled):
    layer = GroupNorm(2)
    run = tf.function(gradient(layer), input_signature=[tf.TensorSpec((None, None, None, 8))])
    for side in (24, 25, 32):
        run(tf.ones((2, side, side, 8)))
    assert compiled() == 0


def test_kernels_are_compiled_for_few_sizes_and_batches(compiled, monkeypatch):
    monkeypatch.setattr(kernels, "_SIZES", 2)
    run = gradient(GroupNorm(2))
    for side in range(24, 40):
        run(tf.ones((2, side, side, 8)))
    for batch in (7, 9, 11, 13, 14, 21):
        run(tf.ones((batch, 24, 24, 8)))
    assert compiled() == 8, "two passes forward and two backward for two sizes"


def test_layers_like_each_other_share_their_kernels(compiled):
    several = keras.Sequential([GroupNorm(g, activation="relu") for g in (2, 2, 4, 8)])
    run = tf.function(gradient(several), input_signature=[tf.TensorSpec((None, 24, 24, 8))])
    assert run(tf.ones((2, 24, 24, 8))).shape == (2, 24, 24, 8)
    assert compiled() == 4, "two passes forward, two backward"


def test_batch_sizes_people_choose_are_compiled():
    chosen = (1, 2, 3, 4, 8, 10, 16, 20, 24, 25, 32, 48, 50, 64, 96, 100, 128, 160, 200, 256, 512)
    assert all(map(kernels._compiled_batch, chosen))
    assert sum(map(kernels._compiled_batch, range(1, 513))) <= 32


def test_the_last_part_of_an_epoch_gives_the_same_gradient():
    layer = GroupNorm(2, activation="relu")
    run = tf.function(gradient(layer), input_signature=[tf.TensorSpec((None, 24, 24, 8))])
    x = tf.constant(np.random.default_rng(0).standard_normal((8, 24, 24, 8)), "float32")
    np.testing.assert_allclose(run(x)[:7], run(x[:7]), atol=1e-5)


def test_small_images_are_left_uncompiled(compiled):
    layer = GroupNorm(2)
    gradient(layer)(tf.ones((32, 8, 8, 16)))
    assert compiled() == 0


def test_kernels_go_with_the_last_layer_that_uses_them(compiled):
    first, second = GroupNorm(2, epsilon=0.5), GroupNorm(2, epsilon=0.5)
    for layer in (first, second):
        gradient(layer)(tf.ones((2, 24, 24, 8)))
    assert compiled() == 4
    del first, layer
    gc.collect()
    assert compiled() == 4
    del second
    gc.collect()
    assert compiled() == 0


def test_nothing_is_compiled_where_xla_or_the_device_is_another(compiled, monkeypatch):
    kernels.compiles.cache_clear()
    layer = GroupNorm(2, epsilon=0.25)
    assert layer.implementation == "compiled"
    tpu = [tf.config.PhysicalDevice("/physical_device:TPU:0", "TPU")]
    with monkeypatch.context() as patched:
        patched.setattr(tf.config, "list_physical_devices", lambda *_: tpu)
        kernels.compiles.cache_clear()
        assert layer.implementation == "plain"
        gradient(layer)(tf.ones((2, 24, 24, 8)))
    assert compiled() == 0

    def no_xla(*args, jit_compile=None, **kwargs):
        raise tf.errors.UnimplementedError(None, None, "no XLA_CPU_JIT device")

    with monkeypatch.context() as patched:
        patched.setattr(tf, "function", no_xla)
        kernels.compiles.cache_clear()
        with pytest.warns(UserWarning, match="no XLA for the CPU"):
            assert layer.implementation == "plain"
    kernels.compiles.cache_clear()
    layer.implementation = "plain"
    gradient(layer)(tf.ones((2, 24, 24, 8)))
    assert compiled() == 0
    assert GroupNorm.from_config(layer.get_config()).implementation == "plain"


@pytest.mark.parametrize("shape", [(2, 4, 4, 8), (2, 24, 24, 8)])
def test_forward_mode_differentiation(shape):
    layer = GroupNorm(2, activation="tanh", dtype="float64")
    x, way = (tf.constant(np.random.default_rng(i).standard_normal(shape)) for i in range(2))
    layer(x)
    with tf.autodiff.ForwardAccumulator(x, way) as forward:
        y = layer(x)
    want = (layer(x + 1e-6 * way) - layer(x - 1e-6 * way)) / 2e-6
    np.testing.assert_allclose(forward.jvp(y), want, atol=1e-7)


@pytest.mark.slow
def test_it_trains_in_a_mirrored_strategy():
    code = """
import keras, numpy as np, tensorflow as tf
from kcnn.layers import ConvNormAct
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = keras.Sequential(
        [keras.Input((24, 24, 3)), ConvNormAct(8, norm="group"), keras.layers.Flatten()]
    )
    model.compile("sgd", "mse")
x = np.ones((16, 24, 24, 3), "float32")
loss = model.fit(x, np.zeros((16, 24 * 24 * 8)), batch_size=8, verbose=0).history["loss"][0]
print("finite", np.isfinite(loss))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "finite True", done.stderr[-2000:]


def test_whole_model_xla():
    model = network()
    model.compile("sgd", "mse", jit_compile=True)
    x = np.ones((8, SIDE, SIDE, 3), "float32")
    assert np.isfinite(model.fit(x, np.zeros((8, 2)), verbose=0).history["loss"][0])
