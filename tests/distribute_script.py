"""What the tests of kcnn.distribute run, alone or as one of several workers."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

from kcnn import distribute


def devices(count):
    """Several devices of one process."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


COUNT = int(os.environ.get("KCNN_TEST_DEVICES", 1))
strategy = devices(COUNT) if COUNT > 1 else distribute.strategy()

OUT = Path(sys.argv[1])
ME = distribute.cluster().index


def images(count):
    rng = np.random.default_rng(3)
    return rng.normal(size=(count, 8, 8, 1)).astype("float32"), rng.integers(0, 3, count)


def network(**compiled):
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rate = keras.optimizers.SGD(0.2, momentum=0.9)
        model.compile(rate, loss, metrics=["accuracy"], weighted_metrics=[], **compiled)
    return model


class Heard(keras.callbacks.Callback):
    """The loss after each call of the training function."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def told(model, history, heard):
    return {
        "history": history.history,
        "batches": heard.losses,
        "weights": [np.asarray(w).ravel().tolist() for w in model.get_weights()],
    }


def case(steps, rest, *, weights=False):
    """Two epochs of four batches of 24 and one of `rest` images."""
    x, y = images(96 + rest)
    model, heard = network(steps_per_execution=steps), Heard()
    weighted = {"sample_weight": np.linspace(0.5, 2.0, len(x))} if weights else {}
    history = distribute.fit(
        model, x, y, batch_size=24, epochs=2, validation_data=(x[:50], y[:50]),
        callbacks=[heard], verbose=0, **weighted,
    )  # fmt: skip
    found = told(model, history, heard)
    found["evaluated"] = distribute.evaluate(model, x, y, batch_size=24, verbose=0)
    found["predicted"] = distribute.predict(model, x, batch_size=24, verbose=0).ravel().tolist()
    return found


def with_callbacks():
    """Those that write, and one that stops: at the same epoch on every worker."""
    x, y = images(96)
    model, heard = network(), Heard()
    file = OUT / f"written-by-{ME}"
    history = distribute.fit(
        model, x, y, batch_size=24, epochs=9, shuffle=False, verbose=0,
        callbacks=[
            heard,
            keras.callbacks.ModelCheckpoint(f"{file}.keras", monitor="loss", save_best_only=True),
            keras.callbacks.CSVLogger(f"{file}.csv"),
            keras.callbacks.EarlyStopping("loss", min_delta=0.01, patience=0),
        ],
    )  # fmt: skip
    return told(model, history, heard)


def data_set():
    """A shuffled `tf.data` pipeline: each later epoch is another permutation under a strategy."""
    import tensorflow as tf

    x, y = images(101)
    tf.keras.utils.set_random_seed(7)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(101).batch(24)
    model, heard = network(), Heard()
    return told(model, distribute.fit(model, batches, epochs=1, callbacks=heard), heard)


def parts():
    """A pipeline of which each worker makes its own part."""
    import tensorflow as tf

    x, y = images(100)

    def make(part, replicas):
        index, count = part
        own = x[index::count], y[index::count]
        return tf.data.Dataset.from_tensor_slices(own).batch(24 // replicas)

    model, heard = network(), Heard()
    history = distribute.fit(
        model, make, epochs=2, validation_data=make, verbose=0, callbacks=[heard]
    )
    return told(model, history, heard)


CASES = {
    "even": lambda: case(1, 0),
    "uneven": lambda: case(1, 5),
    "weighted": lambda: case(1, 5, weights=True),
    "one left": lambda: case(3, 1),
    "callbacks": with_callbacks,
    "data set": data_set,
    "parts": parts,
}
print("RESULT" + json.dumps({name: CASES[name]() for name in sys.argv[2:]}))
