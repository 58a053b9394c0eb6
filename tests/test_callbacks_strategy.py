"""The instruments under `MirroredStrategy` over two CPUs say what they say on one."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import contextlib, keras, numpy as np
from kcnn.callbacks import *

rng = np.random.default_rng(3)
y = rng.integers(0, 3, 240)
x = (rng.normal(size=(240, 6)) + 2.5 * np.eye(6)[y]).astype("float32")


def told(strategy):
    def build():
        keras.utils.set_random_seed(0)
        with strategy.scope() if strategy else contextlib.nullcontext():
            layers = [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
            model = keras.Sequential(layers)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
        return model

    heard = []
    first = InitialLossCheck(3, sink=heard.append)
    small = SmallSampleCheck(x[:32], y[:32], sink=None)
    over, doctor = OverfitDetector(restore_best_weights=True, sink=None), Doctor(x, y, sink=None)
    history = build().fit(
        x, y, batch_size=40, epochs=4, shuffle=False, verbose=0, validation_data=(x[:80], y[:80]),
        callbacks=[first, small, over, doctor],
    ).history
    finder = LRFinder(sink=None)
    build().fit(x, y, batch_size=40, epochs=20, shuffle=False, verbose=0, callbacks=[finder])
    return {
        "initial": heard[0].evidence["loss"],
        "small": small.finding.ok,
        "loss": history["loss"],
        "best": over.best_epoch,
        "doctor": [f.cause for f in doctor.findings],
        "find_lr": find_lr(build(), x, y, batch_size=40, sink=None).suggestion,
        "finder": finder.suggestion,
        "examine": examine(build(), x, y, epochs=4, batch_size=40).causes,
    }


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
print("RESULT" + json.dumps([told(None), told(mirrored)]))
"""


def test_two_replicas_say_what_one_device_says():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    one, two = json.loads(line.removeprefix("RESULT"))
    for name in ("initial", "loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-4), name
    for name in ("find_lr", "finder"):
        assert two[name] == pytest.approx(one[name], rel=0.05), name
    for name in ("small", "best", "doctor", "examine"):
        assert two[name] == one[name], name
