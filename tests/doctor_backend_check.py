"""The doctor on another backend than TensorFlow; run as a script, prints one JSON line."""

import json

import keras
import numpy as np

from kcnn.callbacks import Doctor, examine


def table(n=400):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    x = 1.5 * rng.normal(size=(3, 8))[y] + rng.normal(size=(n, 8))
    return x.astype("float32"), y


def program(rate=1e-2, end=3, y=None, loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(1)
    body = [keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(end, "softmax")]
    model = keras.Sequential(body)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


x, y = table()
fit = {"epochs": 6, "batch_size": 32, "validation_data": (x[320:], y[320:])}
answers = {}
for name, model, target in (
    ("healthy", program(), y),
    ("slow", program(1e-6), y),
    ("one_unit", program(end=1, loss="binary_crossentropy"), y % 2),
):
    before = [np.asarray(v) for v in model.get_weights()]
    given = {**fit, "validation_data": (x[320:], target[320:])}
    found = examine(model, x[:320], target[:320], **given)
    after = [np.asarray(v) for v in model.get_weights()]
    heard = []
    model.fit(
        x[:320], target[:320], verbose=0, callbacks=[Doctor(x, target, sink=heard.append)], **given
    )
    answers[name] = {
        "causes": found.causes, "unseen": list(found.unseen), "healthy": found.healthy,
        "findings": [str(f) for f in found.findings],
        "untouched": all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)),
        "live": [f.cause for f in heard],
    }  # fmt: skip
print(json.dumps(answers))
