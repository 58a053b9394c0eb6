"""`keras.distribution` on JAX, over two and four devices, against one: data and model parallel."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from distribute_tools import ended, free_ports

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="needs JAX: make test-backends installs it"
    ),
]
SCRIPT = """
import json, os, sys
kind, count, address, processes, index = sys.argv[1], *sys.argv[2:4], *map(int, sys.argv[4:6])
import keras
if processes > 1:
    keras.distribution.initialize(address, processes, index)
import numpy as np
import kcnn

devices = keras.distribution.list_devices()
assert len(devices) == int(count), devices
if kind == "data":
    sharded = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=processes == 1)
    keras.distribution.set_distribution(sharded)
elif kind == "model":
    mesh = keras.distribution.DeviceMesh((1, len(devices)), ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*conv.*kernel"] = (None, None, None, "model")
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
keras.utils.set_random_seed(0)
model = kcnn.create_model("resnet20", classes=4, input_shape=(8, 8, 3), width=0.5, norm=NORM)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 64)
if processes > 1:  # each process gives its share of every batch
    x, y = (a.reshape(4, 2, 8, *a.shape[1:])[:, index].reshape(32, *a.shape[1:]) for a in (x, y))
told = model.fit(x, y, batch_size=16 // processes, epochs=2, shuffle=False, verbose=0)
kernels = [v.value for v in model.trainable_variables if v.path.endswith("kernel")]
laid = sorted({str(v.sharding.spec) for v in kernels}) if kind == "model" else []
if "KEPT" in os.environ and kind == "one":
    np.save(os.environ["KEPT"] + ".npy", model.predict(x, verbose=0))
elif "KEPT" in os.environ:  # reading a weight takes all processes
    model.save(f"{os.environ['KEPT']}-{index}.keras")
print("RESULT" + json.dumps([told.history["loss"], laid]))
"""

EXPORT = """
import sys
import keras
import numpy as np
import tensorflow as tf
import kcnn

model = keras.models.load_model(sys.argv[1] + "-0.keras")
model.export(sys.argv[1], verbose=False)
x = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
loaded = tf.saved_model.load(sys.argv[1])
answers = loaded.serve(x)
np.testing.assert_allclose(answers, np.load(sys.argv[1] + ".npy"), atol=1e-3)
"""


def begin(kind, count, *, norm="group", address="-", processes=1, index=0, kept=None):
    code = SCRIPT.replace("NORM", repr(norm))
    local = count // processes
    return subprocess.Popen(
        [sys.executable, "-c", code, kind, *map(str, (count, address, processes, index))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={local}",
            "PYTHONPATH": str(ROOT),
            **({} if kept is None else {"KEPT": str(kept)}),
        },
    )


def results(processes):
    found = ended(processes)
    for code, _, errors in found:
        assert code == 0, errors[-3000:]
    lines = [[li for li in out.splitlines() if li.startswith("RESULT")] for _, out, _ in found]
    return [json.loads(of_one[-1].removeprefix("RESULT")) for of_one in lines]


@pytest.mark.parametrize("norm", ["group", "batch", "sync_batch"])
def test_two_and_four_devices_give_the_losses_of_one(norm):
    """With BatchNorm, too: on JAX a batch is one array, however it lies on the devices."""
    ((one, _),) = results([begin("one", 1, norm=norm)])
    for count in (2, 4):
        ((many, _),) = results([begin("data", count, norm=norm)])
        np.testing.assert_allclose(many, one, atol=1e-4)


def test_a_model_lies_on_two_and_four_devices():
    ((one, _),) = results([begin("one", 1)])
    for count in (2, 4):
        ((many, sharded),) = results([begin("model", count)])
        np.testing.assert_allclose(many, one, atol=1e-4)
        assert any("model" in spec for spec in sharded)


def test_two_processes_give_the_losses_of_one_and_tensorflow_exports_their_model(tmp_path):
    kept = tmp_path / "model"
    ((one, _),) = results([begin("one", 1, kept=kept)])
    address = f"127.0.0.1:{free_ports(1)[0]}"
    cluster = {"address": address, "processes": 2, "kept": kept}
    for many, _ in results([begin("data", 2, index=i, **cluster) for i in range(2)]):
        np.testing.assert_allclose(many, one, atol=1e-4)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", EXPORT, str(kept)], check=True, env=environment)
