"""What the instruments say of a training: on one device, on two, in one of several processes."""

import contextlib
import json
import sys

import keras
import numpy as np
import tensorflow as tf

from kcnn import distribute
from kcnn.callbacks import (
    Doctor,
    InitialLossCheck,
    LRFinder,
    OverfitDetector,
    SmallSampleCheck,
    examine,
    find_lr,
)


def two_devices():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


KINDS = {"one": lambda: None, "devices": two_devices, "processes": distribute.strategy}
strategy = KINDS[sys.argv[1]]()
rng = np.random.default_rng(3)
y = rng.integers(0, 3, 240)
x = (rng.normal(size=(240, 6)) + 2.5 * np.eye(6)[y]).astype("float32")


def build():
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        layers = [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    return model


def trained(epochs, *callbacks, **arguments):
    return distribute.fit(
        build(), x, y, batch_size=40, epochs=epochs, shuffle=False, verbose=0,
        callbacks=list(callbacks), **arguments,
    )  # fmt: skip


heard = []
first, finder = InitialLossCheck(3, sink=heard.append), LRFinder(sink=None)
small = SmallSampleCheck(x[:32], y[:32], sink=None)
over, doctor = OverfitDetector(restore_best_weights=True, sink=None), Doctor(x, y, sink=None)
history = trained(4, first, small, over, doctor, validation_data=(x[:80], y[:80])).history
trained(20, finder)
with distribute.repaired():
    told = {
        "initial": heard[0].evidence["loss"],
        "small": small.finding.ok,
        "loss": history["loss"],
        "best": over.best_epoch,
        "doctor": [f.cause for f in doctor.findings],
        "find_lr": find_lr(build(), x, y, batch_size=40, sink=None).suggestion,
        "finder": finder.suggestion,
        "examine": examine(build(), x, y, epochs=4, batch_size=40).causes,
    }
print("RESULT" + json.dumps(told))
