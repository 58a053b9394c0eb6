"""Several inputs and several outputs, lists and dictionaries."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input

from benchmarks.doctor._registry import Case, program
from benchmarks.doctor._score import accuracy, r2
from benchmarks.doctor.sealed import _data as data
from benchmarks.doctor.sealed._score import head, worst


def _offers(n=3000, test=600):
    """Pictures with a table of six columns; a kind, and a price that depends on both."""
    rng = np.random.default_rng(8)
    (x, y), (xt, yt) = data.small.fashion(n, test=test, small=True)
    x, y = np.concatenate([x, xt])[..., None] / 255.0, np.concatenate([y, yt])
    table = rng.normal(size=(len(y), 6)).astype("float32")
    price = 0.25 * (y - 4.5) + 0.7 * table[:, 0] + 0.5 * table[:, 1] * table[:, 2]
    price = (price + 0.05 * rng.normal(size=len(y))).astype("float32")[:, None]
    return n, x.astype("float32"), table, y, price


def _picture(inputs):
    h = Conv2D(16, 3, strides=2, activation="relu")(inputs)
    return Flatten()(Conv2D(24, 3, strides=2, activation="relu")(h))


@program("unnormalized_inputs", also=("lr_too_high", "dying_relu", "exploding_gradient"),
         kind="picture and table in, price out", score=r2, good=0.7, needs="fashion")  # fmt: skip
def offers_with_raw_columns(faulty):
    """Pictures are scaled, the table holds years, metres and euros as they come."""
    n, x, table, _, price = _offers()
    if faulty:
        table = table * [9e4, 400, 300, 15, 2e5, 7e3] + [3e5, 900, 800, 1990, 1e6, 4e4]
        table = table.astype("float32")
    picture, columns = Input((14, 14, 1), name="picture"), Input((6,), name="table")
    h = layers.concatenate([_picture(picture), Dense(32, activation="relu")(columns)])
    h = Dense(48, activation="relu")(h)
    model = keras.Model([picture, columns], Dense(1)(h))
    model.compile(keras.optimizers.Adam(0.001), "mse", metrics=["mae"])
    test = [x[n:], table[n:]], price[n:]
    fit = {"epochs": 12, "batch_size": 32, "validation_data": test}
    return Case(model, [x[:n], table[:n]], price[:n], fit, test)


@program("unnormalized_targets", also=("lr_too_low", "lr_too_high", "wrong_loss"),
         kind="one picture, two outputs", score=head("kind", accuracy), good=0.65, bad=0.55,
         needs="fashion")  # fmt: skip
def offers_where_euros_drown_the_kind(faulty):
    """Kind and price from one network; the price is learned a bit, the kind not at all."""
    n, x, _, y, _ = _offers()
    price = x.mean((1, 2))
    price = (price - price.mean()) / price.std()
    if faulty:
        price = 60_000 * (price + 2)
    inputs = Input((14, 14, 1))
    h = Dense(64, activation="relu")(_picture(inputs))
    outputs = {"kind": Dense(10, activation="softmax", name="kind")(h),
               "price": Dense(1, name="price")(h)}  # fmt: skip
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.002),
        {"kind": "sparse_categorical_crossentropy", "price": "mse"},
        metrics={"kind": ["accuracy"], "price": ["mae"]},
    )
    both = {"kind": y, "price": price.astype("float32")}
    test = x[n:], {k: v[n:] for k, v in both.items()}
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, x[:n], {k: v[:n] for k, v in both.items()}, fit, test)


@program("wrong_output_activation", kind="picture and table in, two outputs",
         score=worst(kind=accuracy, price=r2), good=0.6, bad=0.5, needs="fashion")  # fmt: skip
def offers_with_a_price_below_zero(faulty):
    """The kinds are right, the standardised price is never below the mean."""
    n, x, table, y, price = _offers()
    picture, columns = Input((14, 14, 1), name="picture"), Input((6,), name="table")
    h = layers.concatenate([_picture(picture), Dense(32, activation="relu")(columns)])
    h = Dense(64, activation="relu")(h)
    last = "relu" if faulty else None
    outputs = {"kind": Dense(10, activation="softmax", name="kind")(h),
               "price": Dense(1, activation=last, name="price")(h)}  # fmt: skip
    model = keras.Model({"picture": picture, "table": columns}, outputs)
    model.compile(
        keras.optimizers.Adam(0.002),
        {"kind": "sparse_categorical_crossentropy", "price": "mse"},
        metrics={"kind": ["accuracy"]},
    )
    ins, outs = {"picture": x, "table": table}, {"kind": y, "price": price}
    train = tf.data.Dataset.from_tensor_slices(
        ({k: v[:n] for k, v in ins.items()}, {k: v[:n] for k, v in outs.items()})
    )
    test = {k: v[n:] for k, v in ins.items()}, {k: v[n:] for k, v in outs.items()}
    val = tf.data.Dataset.from_tensor_slices(test).batch(100)
    fit = {"epochs": 10, "validation_data": val}
    return Case(model, train.shuffle(3000, seed=0).batch(32), None, fit, test)


@program("nan_inputs", kind="dictionary of inputs", score=r2, good=0.65, needs="fashion")
def offers_with_a_missing_year(faulty):
    """Three rows of the table have no year; the loss is nan since I added the table."""
    n, x, table, _, price = _offers()
    if faulty:
        table = table.copy()
        table[[700, 1500, 2100], 3] = np.nan
    picture, columns = Input((14, 14, 1), name="picture"), Input((6,), name="table")
    h = layers.concatenate([_picture(picture), Dense(32, activation="relu")(columns)])
    model = keras.Model({"picture": picture, "table": columns},
                        Dense(1)(Dense(48, activation="relu")(h)))  # fmt: skip
    model.compile(keras.optimizers.Adam(0.002), "mse")
    ins = {"picture": x[:n], "table": table[:n]}
    test = {"picture": x[n:], "table": table[n:]}, price[n:]
    fit = {"epochs": 10, "batch_size": 32, "validation_data": test}
    return Case(model, ins, price[:n], fit, test)


@program("label_misalignment", also=("overfitting",), kind="two pictures in, same or not",
         score=accuracy, good=0.7, bad=0.6, needs="fashion")  # fmt: skip
def pairs_with_one_side_shuffled(faulty):
    """Same kind or not? I shuffled the left pictures once more; 0.5 on validation."""
    rng = np.random.default_rng(9)
    (x, y), (xt, yt) = data.small.fashion(3000, test=1000, small=True, classes=(0, 1, 2, 5, 8))

    def pairs(x, y, n):
        left = rng.integers(0, len(x), n)
        right = np.array([rng.choice(np.flatnonzero((y == y[i]) == (k % 2 == 0)))
                          for k, i in enumerate(left)])  # fmt: skip
        return x[left][..., None] / 255.0, x[right][..., None] / 255.0, np.arange(n) % 2 == 0

    a, b, same = pairs(x, y, 3000)
    at, bt, same_t = pairs(xt, yt, 800)
    if faulty:
        a = a[rng.permutation(len(a))]
    tower = keras.Sequential([
        Input((14, 14, 1)),
        Conv2D(16, 3, strides=2, activation="relu"),
        Flatten(),
        Dense(32, activation="relu"),
    ])  # fmt: skip
    left, right = Input((14, 14, 1)), Input((14, 14, 1))
    h = layers.Lambda(lambda pair: keras.ops.abs(pair[0] - pair[1]))([tower(left), tower(right)])
    h = Dense(32, activation="relu")(h)
    model = keras.Model([left, right], Dense(1, activation="sigmoid")(h))
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    test = [at, bt], same_t.astype("float32")
    fit = {"epochs": 8, "batch_size": 32, "validation_data": test}
    return Case(model, [a, b], same.astype("float32"), fit, test)


@program("wrong_output_units", kind="mlp regression, two targets", score=r2, good=0.75, bad=0.6)
def two_targets_from_one_unit(faulty):
    """Latitude and longitude; both come out the same."""
    (x, y), (xt, yt) = data.demand(20_000)
    second = np.tanh(x[:, :1] - x[:, 4:5]), np.tanh(xt[:, :1] - xt[:, 4:5])
    y = np.concatenate([np.log(y + 0.1), 2 * second[0]], 1)
    yt = np.concatenate([np.log(yt + 0.1), 2 * second[1]], 1)
    model = keras.Sequential([
        Input((12,)),
        Dense(64, activation="relu"),
        Dense(64, activation="relu"),
        Dense(1 if faulty else 2),
    ])  # fmt: skip
    model.compile("adam", "mse", metrics=["mae"])
    fit = {"epochs": 3, "batch_size": 64, "validation_data": (xt, yt)}
    return Case(model, x, y, fit, (xt, yt))


@program("frozen_layers", kind="two inputs, two outputs", needs="fashion",
         score=head("kind", accuracy), good=0.55, bad=0.5)  # fmt: skip
def offers_on_a_frozen_stem(faulty):
    """The stem was frozen for a test and never thawed; the kind stays a guess."""
    n, x, table, y, price = _offers()
    picture, columns = Input((14, 14, 1), name="picture"), Input((6,), name="table")
    stem = keras.Sequential([
        Conv2D(16, 3, strides=2, activation="relu"),
        Conv2D(24, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(16, activation="relu"),
        Dense(16, activation="relu"),
    ])  # fmt: skip
    h = layers.concatenate([stem(picture), Dense(32, activation="relu")(columns)])
    h = Dense(64, activation="relu")(h)
    stem.trainable = not faulty
    outputs = {"kind": Dense(10, activation="softmax", name="kind")(h),
               "price": Dense(1, name="price")(h)}  # fmt: skip
    model = keras.Model([picture, columns], outputs)
    model.compile(
        keras.optimizers.Adam(0.005),
        {"kind": "sparse_categorical_crossentropy", "price": "mse"},
        metrics={"kind": ["accuracy"]},
    )
    outs = {"kind": y, "price": price}
    test = [x[n:], table[n:]], {k: v[n:] for k, v in outs.items()}
    fit = {"epochs": 15, "batch_size": 32, "validation_data": test}
    return Case(model, [x[:n], table[:n]], {k: v[:n] for k, v in outs.items()}, fit, test)
