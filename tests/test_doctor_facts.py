"""The doctor's static facts: tasks, losses, heads, and the contradictions between them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from doctor_tools import found

from kcnn.callbacks.doctor.program.graph import activation_kind
from kcnn.callbacks.doctor.program.head import read_head
from kcnn.callbacks.doctor.program.loss import read_loss
from kcnn.callbacks.doctor.program.task import read_task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype("float32")
IDS = RNG.integers(0, 4, 120)
HOT = np.eye(4, dtype="float32")[IDS]
BITS = RNG.integers(0, 2, (120, 3)).astype("float32")
NUMBERS = RNG.normal(size=120).astype("float32") * 5


def facts(units, activation, loss, y, *, x=X, metrics=None, hidden="relu", optimizer="adam", **fit):
    layers = [keras.layers.Input(x.shape[1:]), keras.layers.Dense(8, activation=hidden)]
    model = keras.Sequential([*layers, keras.layers.Dense(units, activation=activation)])
    model.compile(optimizer, loss, metrics=metrics)
    return found(model, x, y, **fit)


def named(*args, **kwargs):
    return [h.cause for h in facts(*args, **kwargs) if h.is_proven]


@pytest.mark.parametrize(
    ("y", "loss", "units", "kind", "form"),
    [
        (IDS, "sparse_categorical_crossentropy", 4, "multiclass", "ids"),
        (HOT, "categorical_crossentropy", 4, "multiclass", "onehot"),
        (0.9 * HOT + 0.025, "categorical_crossentropy", 4, "multiclass", "onehot"),
        (IDS % 2, "binary_crossentropy", 1, "binary", "ids"),
        (BITS, "binary_crossentropy", 3, "multilabel", "bits"),
        (NUMBERS, "mse", 1, "regression", "numbers"),
        (IDS * 7.0, "mse", 1, "regression", "numbers"),
        (IDS / 255.0, "sparse_categorical_crossentropy", 4, "multiclass", "ids"),
    ],
)
def test_the_task_is_read_from_the_targets(y, loss, units, kind, form):
    task = read_task(np.asarray(y), loss=read_loss(loss), units=units, scores=False)
    assert (task.kind, task.form) == (kind, form)


@pytest.mark.parametrize(
    ("loss", "kind", "logits"),
    [
        ("mse", "mse", False),
        (keras.losses.BinaryCrossentropy(from_logits=True), "bce", True),
        (keras.losses.SparseCategoricalCrossentropy(), "scce", False),
        (keras.losses.categorical_crossentropy, "cce", False),
        (lambda y, p: keras.ops.mean(keras.ops.square(y - p), -1), "mse", False),
        (lambda y, p: keras.losses.categorical_crossentropy(y, p, from_logits=True), "cce", True),
    ],
)
def test_losses_are_recognised_by_name_type_or_trial(loss, kind, logits):
    facts = read_loss(loss)
    assert (facts.kind, facts.from_logits) == (kind, logits)


def test_ids_under_a_loss_of_numbers_are_classes_and_amounts_are_none():
    ids = RNG.choice(1000, 120, replace=False)[np.arange(2400) % 120]
    amounts = np.round(RNG.lognormal(3, 0.5, 2400))
    prices = 500 * np.round(RNG.normal(40, 4, 2400))
    grades = 1000 * np.array([31, 36, 42, 50, 57, 66, 75, 86, 98, 110])[np.arange(2400) % 10]
    for y, scores, kind in (
        (ids, True, "multiclass"), (ids, False, "regression"), (amounts, True, "regression"),
        (prices, True, "regression"), (grades, True, "regression"),
    ):  # fmt: skip
        assert read_task(y, loss=read_loss("mse"), units=1, scores=scores).kind == kind
    named_ids = named(1, None, "mse", ids[:1200], x=np.tile(X, (10, 1)), metrics=["accuracy"])
    assert named_ids == ["wrong_output_units", "wrong_loss"]


def own_hinge(y, score):
    return keras.ops.mean(keras.ops.maximum(1 - y * score, 0))


def hinge_of_bits(y, score):
    return own_hinge(2 * y - 1, score)


class Hinge(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.maximum(1 - y_true * y_pred, 0)


def score_times_label(y, score):
    return -keras.ops.mean(y * score)


@pytest.mark.parametrize(
    ("loss", "y", "causes"),
    [
        (own_hinge, IDS % 2, ["label_encoding"]),
        (own_hinge, 2 * (IDS % 2) - 1, []),
        (hinge_of_bits, IDS % 2, []),
        (lambda y, s: keras.ops.mean(keras.ops.softplus(-y * s)), IDS % 2, ["label_encoding"]),
        (score_times_label, NUMBERS, []),
        ("hinge", IDS % 2, []),
        (Hinge(), IDS % 2, ["label_encoding"]),
    ],
)
def test_a_label_that_a_margin_loss_does_not_see(loss, y, causes):
    assert named(1, None, loss, y.astype("float32")) == causes


@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid", "tanh", "softmax"])
def test_activations_are_recognised_by_their_answers(name):
    own = keras.activations.get(name)
    assert activation_kind(lambda x: own(x)) == name


def test_the_head_is_followed_through_reshapes_and_nested_models():
    inner = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(4, name="scores")])
    inputs = keras.Input((6,))
    outputs = keras.layers.Softmax(name="end")(keras.layers.Dropout(0.1)(inner(inputs)))
    model = keras.Model(inputs, outputs)
    head = read_head(model, np.full((2, 4), 0.25, "float32"))
    assert head.activations == ("softmax",)
    assert (head.layer, head.units, head.seen) == ("end", 4, True)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "cause"),
    [
        (1, "softmax", "binary_crossentropy", IDS % 2, "wrong_output_activation"),
        (1, "sigmoid", "binary_crossentropy", IDS, "wrong_output_units"),
        (1, "sigmoid", "categorical_crossentropy", (IDS % 2)[:, None], "wrong_loss"),
        (1, None, "binary_crossentropy", IDS % 2, "loss_activation_mismatch"),
        (4, None, "categorical_crossentropy", HOT, "loss_activation_mismatch"),
        (4, "relu", "categorical_crossentropy", HOT, "wrong_output_activation"),
        (4, "sigmoid", "categorical_crossentropy", HOT, "wrong_output_activation"),
        (3, "softmax", "categorical_crossentropy", BITS, "wrong_output_activation"),
        (3, "softmax", "sparse_categorical_crossentropy", IDS, "wrong_output_units"),
        (4, "softmax", "sparse_categorical_crossentropy", IDS + 1, "label_encoding"),
        (4, "softmax", "sparse_categorical_crossentropy", IDS / 255.0, "label_encoding"),
        (4, "softmax", "categorical_crossentropy", HOT / 255.0, "label_encoding"),
        (1, "sigmoid", "binary_crossentropy", 2.0 * (IDS % 2) - 1, "label_encoding"),
        (1, "sigmoid", "mse", NUMBERS, "wrong_output_activation"),
        (1, "relu", "mse", NUMBERS, "wrong_output_activation"),
        (1, "sigmoid", "binary_crossentropy", NUMBERS, "wrong_loss"),
    ],
)
def test_contradictions_at_the_head_are_firm(units, activation, loss, y, cause):
    assert cause in named(units, activation, loss, y)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (1, "sigmoid", "binary_crossentropy", IDS % 2),
        (2, "softmax", "sparse_categorical_crossentropy", IDS % 2),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True), IDS % 2),
        (4, "softmax", "sparse_categorical_crossentropy", IDS),
        (4, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), IDS),
        (5, "softmax", "sparse_categorical_crossentropy", IDS + 1),
        (4, "softmax", keras.losses.CategoricalCrossentropy(label_smoothing=0.1), HOT),
        (4, "softmax", keras.losses.CategoricalCrossentropy(from_logits=True), HOT),
        (3, "sigmoid", "binary_crossentropy", BITS),
        (1, None, "mse", NUMBERS),
        (1, "relu", "mse", np.abs(NUMBERS)),
        (1, "sigmoid", "mse", np.clip(np.abs(NUMBERS) / 30, 0, 1)),
        (1, "tanh", "hinge", 2.0 * (IDS % 2) - 1),
        (1, None, "mae", np.exp(NUMBERS / 3)),
        (1, "sigmoid", "binary_crossentropy", 0.9 * (IDS % 2) + 0.05),
        (4, "softmax", "mse", HOT),  # no help, and often no harm: a trial decides
    ],
)
def test_sound_heads_raise_no_firm_suspicion(units, activation, loss, y):
    assert named(units, activation, loss, y) == []


def test_a_double_softmax_is_seen_and_a_single_one_with_from_logits_is_not():
    double = keras.Sequential(
        [keras.layers.Input((6,)), keras.layers.Dense(4, "softmax"), keras.layers.Softmax()]
    )
    double.compile("adam", "categorical_crossentropy")
    causes = [h.cause for h in found(double, X, HOT) if h.is_proven]
    assert causes == ["loss_activation_mismatch"]


@pytest.mark.parametrize(
    ("metric", "units", "activation", "loss", "y", "wrong"),
    [
        ("accuracy", 1, None, "mse", NUMBERS, True),
        ("mae", 1, None, "mse", NUMBERS, False),
        ("accuracy", 4, "softmax", "categorical_crossentropy", HOT, False),
        ("binary_accuracy", 4, "softmax", "categorical_crossentropy", HOT, True),
        ("categorical_accuracy", 1, "sigmoid", "binary_crossentropy", IDS % 2, True),
        (keras.metrics.Accuracy, 1, "sigmoid", "binary_crossentropy", IDS % 2, True),
    ],
)
def test_metrics_that_do_not_measure_the_task(metric, units, activation, loss, y, wrong):
    metric = metric() if isinstance(metric, type) else metric
    causes = named(units, activation, loss, y, metrics=[metric])
    assert ("wrong_metric" in causes) == wrong


def test_a_loss_of_the_users_own_that_squashes_a_softmax_again():
    def cross(y, scores):  # TensorFlow's function does not look behind the scores
        return tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=scores)

    def undone(y, scores):
        return keras.losses.categorical_crossentropy(y, scores, from_logits=True)

    assert named(4, "softmax", cross, HOT) == ["loss_activation_mismatch"]
    assert named(4, None, cross, HOT) == []
    assert named(4, "softmax", undone, HOT) == []


def test_labels_mixed_in_float32_are_classes_though_some_exceed_one():
    """MixUp of two images of one class: share and rest add up to a bit more than 1."""
    rng = np.random.default_rng(0)
    hot = np.eye(10, dtype="float32")[rng.integers(0, 10, (2, 2000))]
    share = rng.beta(0.2, 0.2, (2000, 1)).astype("float32")
    mixed = share * hot[0] + (1 - share) * hot[1]
    mixed[0] = [0, np.nextafter(np.float32(1), np.float32(2)), *[0] * 8]
    task = read_task(mixed, loss=read_loss("categorical_crossentropy"), units=10, scores=True)
    assert (task.kind, task.form) == ("multiclass", "onehot")
