"""`norm="sync_batch"` over two and four devices computes what one device computes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """
import contextlib, json, sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
import kcnn
from kcnn import distribute
from kcnn.layers import BasicBlock

rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 32)
x *= np.linspace(0.2, 3.0, 32, dtype="float32")[:, None, None, None]  # no half is like the other

def block(norm):
    layers = [keras.Input((8, 8, 3)), BasicBlock(4, norm=norm), keras.layers.GlobalMaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(4)])

def model(norm):
    return kcnn.create_model("resnet20", classes=4, input_shape=(8, 8, 3), width=0.25, norm=norm)

COUNT = int(sys.argv[2])
mirrored = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(COUNT)])

def trained(make, norm, devices):
    keras.utils.set_random_seed(1)
    with mirrored.scope() if devices > 1 else contextlib.nullcontext():
        network = make(norm)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.SGD(0.05), loss)
    told = distribute.fit(network, x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return told.history["loss"] + [float(v) for w in network.get_weights() for v in w.ravel()]

print("RESULT" + json.dumps({
    make.__name__: {
        norm: [trained(make, norm, n) for n in (1, COUNT)] for norm in ("batch", "sync_batch")
    }
    for make in (block, model)[: int(sys.argv[1])]
}))
"""


def told(kinds, count):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(kinds), str(count)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        (1, 2),
        pytest.param(2, 2, marks=pytest.mark.slow),
        pytest.param(2, 4, marks=pytest.mark.slow),
    ],
)
def test_synchronized_statistics_are_those_of_the_whole_batch(kinds, count):
    for found in told(kinds, count).values():
        one, several = found["sync_batch"]
        np.testing.assert_allclose(found["batch"][0], one, atol=1e-5)
        np.testing.assert_allclose(several, one, atol=1e-4, rtol=1e-4)
        apart = np.abs(np.subtract(*found["batch"])).max()
        assert apart > 1e-3, "each device's own statistics should have made a difference"
