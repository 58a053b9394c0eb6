"""Tables: classes, numbers, counts, several inputs and outputs, weights."""

import keras
import numpy as np
from keras import layers
from keras.optimizers import SGD, Adam, Nadam, RMSprop

from doctor_zoo.make import SPARSE, batch_norm, compiled, held, perceptron, sequential, setup, table


@setup
def class_weights():
    x, y = table(classes=2)
    keep = (y == 0) | (np.arange(len(y)) % 4 == 0)
    model = compiled(perceptron((8,), 32, units=2), Adam(1e-2))
    return model, *held(x[keep], y[keep], epochs=10, class_weight={0: 1.0, 1: 4.0})


@setup
def a_hundred_classes():
    x, y = table(2000, 24, 100)
    return compiled(perceptron((24,), 128, units=100), Adam(5e-3)), *held(x, y, epochs=12)


@setup
def class_ids_with_gaps():
    x, y = table(1200, 12, 20)
    ids = np.sort(np.random.default_rng(1).choice(1000, 20, replace=False))[y]
    return compiled(perceptron((12,), 64, units=1000), Adam(5e-3)), *held(x, ids, epochs=12)


@setup
def heavy_tailed_regression():
    x, _ = table(800)
    rng = np.random.default_rng(2)
    y = (x[:, 0] + np.abs(x[:, 1]) + 0.2 * rng.standard_t(2, len(x))).astype("float32")
    model = compiled(perceptron((8,), 64, units=1, end=None), Adam(5e-3), "huber", ["mae"])
    return model, *held(x, y, epochs=15)


@setup
def prices():
    x, _ = table(800)
    y = (3 * np.exp(0.3 * x[:, 0] - 0.2 * x[:, 1] * (x[:, 2] > 0))).astype("float32")
    model = compiled(perceptron((8,), 64, 64, units=1, end=None), Adam(5e-3), "mse", ["mae"])
    return model, *held(x, y, epochs=40)


@setup
def two_outputs():
    x, y = table(800)
    inputs = keras.Input((8,))
    h = layers.Dense(64, "relu")(inputs)
    ends = {
        "kind": layers.Dense(3, "softmax", name="kind")(h),
        "size": layers.Dense(1, name="size")(h),
    }
    model = keras.Model(inputs, ends)
    model.compile(Adam(5e-3), {"kind": SPARSE, "size": "mse"}, metrics={"kind": ["accuracy"]})
    size = (x[:, 0] - 0.5 * x[:, 1]).astype("float32")
    return model, x, {"kind": y, "size": size}, {"epochs": 15, "batch_size": 32}


@setup
def two_inputs():
    x, y = table(800)
    parts = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    h = layers.Concatenate()([layers.Dense(16, "relu")(part) for part in parts.values()])
    model = compiled(keras.Model(parts, layers.Dense(3, "softmax")(h)), Adam(1e-2))
    return model, {"left": x[:, :4], "right": x[:, 4:]}, y, {"epochs": 12, "batch_size": 32}


@setup
def several_labels():
    x, y = table(800)
    bits = np.stack([y == 0, x[:, 0] > 0, x[:, 1] + x[:, 2] > 0], 1).astype("float32")
    model = compiled(
        perceptron((8,), 64, units=3, end="sigmoid"), Adam(5e-3), "binary_crossentropy",
        ["binary_accuracy"],
    )  # fmt: skip
    return model, *held(x, bits, epochs=12)


@setup
def logits_of_two_classes():
    x, y = table(classes=2)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled(perceptron((8,), 32, units=1, end=None), RMSprop(5e-3), loss), *held(
        x, y, epochs=8
    )


@setup
def logistic_regression():
    model = compiled(perceptron((8,), units=1, end="sigmoid"), Adam(2e-2), "binary_crossentropy")
    return model, *held(*table(classes=2), epochs=15)


@setup
def linear_regression():
    x, _ = table(800)
    y = (x @ np.linspace(-0.4, 0.4, 8) + 0.1 * np.random.default_rng(1).normal(size=800)).astype(
        "float32"
    )
    model = compiled(perceptron((8,), units=1, end=None), SGD(0.02), "mse", ["mae"])
    return model, *held(x, y, epochs=15)


@setup
def deep_with_batch_norm():
    body = []
    for _ in range(5):
        body += [layers.Dense(32, use_bias=False), batch_norm(), layers.ReLU(), layers.Dropout(0.1)]
    model = sequential((8,), *body, layers.Dense(3, "softmax"))
    return compiled(model, Nadam(3e-3)), *held(*table(900), epochs=20)


@setup
def self_normalizing():
    body = []
    for _ in range(4):
        body += [
            layers.Dense(32, "selu", kernel_initializer="lecun_normal"), layers.AlphaDropout(0.05)
        ]  # fmt: skip
    model = sequential((8,), *body, layers.Dense(3, "softmax"))
    return compiled(model, Adam(2e-3)), *held(*table(), epochs=15)


@setup
def wide_and_deep():
    x, y = table(800)
    kind = np.random.default_rng(1).integers(0, 12, 800)
    y = np.where(kind % 4 == 0, 0, y)
    numbers, place = keras.Input((8,), name="numbers"), keras.Input((), dtype="int32", name="place")
    embedded = layers.Embedding(12, 6)(place)
    h = layers.Dense(64, "relu")(layers.Concatenate()([numbers, embedded]))
    h = layers.Concatenate()([numbers, layers.Dense(32, "relu")(h)])
    model = keras.Model({"numbers": numbers, "place": place}, layers.Dense(3, "softmax")(h))
    x = {"numbers": x, "place": kind}
    return compiled(model, Adam(5e-3)), x, y, {"epochs": 15, "batch_size": 32}


@setup
def upper_quantile():
    x, _ = table(800)
    noise = np.random.default_rng(1).normal(size=800)
    y = (x[:, 0] + 0.5 * np.abs(x[:, 1]) * noise).astype("float32")

    def pinball(true, said):
        return keras.ops.maximum(0.8 * (true - said), -0.2 * (true - said))

    model = compiled(perceptron((8,), 32, units=1, end=None), Adam(5e-3), pinball, [])
    return model, *held(x, y[:, None], epochs=20)


@setup
def counts():
    x, _ = table(900)
    y = np.random.default_rng(1).poisson(np.exp(0.3 * x[:, 0] - 0.2 * x[:, 1])).astype("float32")
    model = perceptron((8,), 32, units=1, end="exponential")
    return compiled(model, Adam(3e-3), "poisson", []), *held(x, y, epochs=20)


@setup
def mean_and_variance():
    x, _ = table(800)
    y = (0.5 * x[:, :1] + 0.3 * np.random.default_rng(1).normal(size=(800, 1))).astype("float32")

    def likelihood(true, said):
        mean, log = said[:, :1], said[:, 1:]
        return keras.ops.mean(0.5 * log + 0.5 * (true - mean) ** 2 * keras.ops.exp(-log), -1)

    model = compiled(perceptron((8,), 32, units=2, end=None), Adam(5e-3), likelihood, [])
    return model, *held(x, y, epochs=20)


@setup
def columns_normalized_in_the_model():
    x, y = table()
    x = (x * np.geomspace(1, 1e4, 8) + 300).astype("float32")
    normal = layers.Normalization()
    normal.adapt(x)
    model = sequential((8,), normal, layers.Dense(32, "relu"), layers.Dense(3, "softmax"))
    return compiled(model, Adam(1e-2)), *held(x, y, epochs=10)


@setup
def sample_weights():
    x, y = table()
    x, y, fit = held(x, y, epochs=10)
    fit["sample_weight"] = np.random.default_rng(1).uniform(0.2, 1, len(y))
    return compiled(perceptron((8,), 32), Adam(1e-2)), x, y, fit


@setup
def rare_class_by_auc():
    x, y = table(2000, classes=2)
    keep = (y == 0) | (np.arange(len(y)) % 6 == 0)
    metrics = [keras.metrics.AUC(name="auc"), "accuracy"]
    model = perceptron((8,), 32, units=1, end="sigmoid")
    model = compiled(model, Adam(5e-3), "binary_crossentropy", metrics)
    return model, *held(x[keep], y[keep], epochs=12)


@setup
def signs_and_a_hinge():
    x, y = table(classes=2)
    model = compiled(perceptron((8,), 32, units=1, end="tanh"), Adam(5e-3), "hinge", [])
    return model, *held(x, (2 * y - 1).astype("float32"), epochs=12)


@setup
def one_hot_columns_and_rmsprop():
    x, y = table(classes=4)
    model = compiled(perceptron((8,), 32, units=4), RMSprop(3e-3), "categorical_crossentropy")
    return model, *held(x, np.eye(4)[y], epochs=15)
