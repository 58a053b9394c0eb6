import math

import keras
import numpy as np
import pytest

from kcnn.callbacks import InitialLossCheck, Snapshot, expected_initial_loss, judge_initial_loss

L = keras.losses


def uniform(kind, classes):
    """Loss of a constant guess, computed by Keras itself on random labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 1000)
    if kind == "binary":
        return np.full((1000, 1), 0.5, "float32"), (labels % 2)[:, None].astype("float32")
    one_hot = np.eye(classes, dtype="float32")[labels]
    guess = np.full((1000, classes), 1 / classes, "float32")
    return guess, labels if kind == "sparse" else one_hot


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (L.SparseCategoricalCrossentropy(), "sparse"),
        (L.CategoricalCrossentropy(), "one_hot"),
        (L.CategoricalCrossentropy(label_smoothing=0.2), "one_hot"),
        (L.CategoricalFocalCrossentropy(alpha=0.5, gamma=1.5), "one_hot"),
        (L.BinaryCrossentropy(), "binary"),
        (L.BinaryCrossentropy(label_smoothing=0.1), "binary"),
        (L.BinaryFocalCrossentropy(gamma=3.0), "binary"),
    ],
)
@pytest.mark.parametrize("classes", [2, 10])
def test_the_expected_loss_is_what_keras_computes_for_a_uniform_guess(loss, kind, classes):
    guess, labels = uniform(kind, classes)
    seen = float(loss(labels, guess))
    assert expected_initial_loss(loss, classes) == pytest.approx(seen, rel=1e-4)


@pytest.mark.parametrize("loss", [L.Hinge(), L.SquaredHinge(), L.CategoricalHinge()])
def test_hinges_cost_one_at_zero(loss):
    labels = np.eye(4, dtype="float32")[[0, 1, 2, 3]]
    if not isinstance(loss, L.CategoricalHinge):
        labels = labels * 2 - 1
    assert expected_initial_loss(loss) == pytest.approx(float(loss(labels, np.zeros((4, 4)))))


def test_names_and_functions_are_known_too():
    for loss in ("sparse_categorical_crossentropy", L.categorical_crossentropy, "kl_divergence"):
        assert expected_initial_loss(loss, 7) == pytest.approx(math.log(7))
    assert expected_initial_loss("mse", 7) is None
    assert expected_initial_loss(L.CategoricalCrossentropy(reduction="sum"), 7) is None
    with pytest.raises(ValueError, match="classes=None"):
        expected_initial_loss("categorical_crossentropy")


@pytest.mark.parametrize(
    ("loss", "severity", "cause"),
    [
        (2.30, "ok", None),
        (2.75, "ok", None),
        (3.3, "warning", "bad_initialization"),
        (6.0, "failure", "bad_initialization"),
        (400.0, "failure", "unnormalized_inputs"),
        (1.0, "warning", None),
        (-3.0, "failure", "label_encoding"),
        (math.nan, "failure", "nan_inputs"),
        (math.inf, "failure", "nan_inputs"),
    ],
)
def test_judging_ten_classes(loss, severity, cause):
    finding = judge_initial_loss(loss, classes=10)
    assert (finding.severity, finding.cause) == (severity, cause)
    assert finding.ok or finding.advice


def test_regularization_is_taken_out():
    finding = judge_initial_loss(5.3, classes=10, regularization=3.0)
    assert finding.severity == "ok"
    assert finding.evidence["loss"] == pytest.approx(2.3)


def model_with(head_scale=0.01, loss=None, penalty=None, units=10, activation=None, **compiled):
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="relu", kernel_regularizer=penalty),
            keras.layers.Dense(
                units,
                activation=activation,
                kernel_initializer=keras.initializers.RandomNormal(stddev=head_scale),
            ),
        ]
    )
    loss = loss or L.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, **compiled)
    return model


def data(n=256, classes=10):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 20)).astype("float32"), rng.integers(0, classes, n)


def heard(model, x, y, **kwargs):
    said = []
    check = InitialLossCheck(sink=said.append, **kwargs)
    model.fit(x, y, batch_size=64, verbose=0, callbacks=[check])
    assert said == [check.finding]
    return said[0]


@pytest.mark.parametrize(("scale", "ok"), [(0.01, True), (50.0, False)])
def test_it_judges_the_head_in_fit(scale, ok):
    assert heard(model_with(scale), *data()).ok is ok


def test_it_reads_the_first_batch_before_any_update():
    model = model_with(0.5)
    x, y = data(64)
    expected = model.evaluate(x, y, batch_size=64, verbose=0)
    assert heard(model, x, y).evidence["loss"] == pytest.approx(expected, rel=1e-5)


def test_weight_penalties_do_not_count():
    finding = heard(model_with(penalty=keras.regularizers.L2(1.0)), *data())
    assert finding.ok
    assert finding.evidence["regularization"] > 5


def test_one_hot_labels_probabilities_and_binary_losses():
    x, y = data()
    one_hot = keras.utils.to_categorical(y, 10)
    loss = L.CategoricalCrossentropy(label_smoothing=0.1)
    assert heard(model_with(loss=loss, activation="softmax"), x, one_hot).ok
    binary = model_with(loss="binary_crossentropy", units=1, activation="sigmoid")
    finding = heard(binary, x, (y % 2).astype("float32"))
    assert finding.ok
    assert finding.evidence["expected"] == pytest.approx(math.log(2))


def test_regression_is_told_and_not_judged():
    x, y = data()
    finding = heard(model_with(loss="mse", units=1), x, y.astype("float32"))
    assert finding.severity == "note"


@pytest.mark.parametrize("form", ["names", "keys"])
def test_losses_are_matched_with_their_outputs_by_name(form):
    inputs = keras.Input((4,))
    zeros = {"kernel_initializer": "zeros"}
    out = [
        keras.layers.Dense(5, "softmax", name="z_many", **zeros)(inputs),
        keras.layers.Dense(2, "softmax", name="a_two", **zeros)(inputs),
    ]
    if form == "keys":
        out = {"z_many": out[0], "a_two": out[1]}
    model = keras.Model(inputs, out)
    kind = "sparse_categorical_crossentropy"
    weights = {"z_many": 3.0, "a_two": 1.0}
    model.compile("sgd", {"z_many": kind, "a_two": kind}, loss_weights=weights)
    y = {"z_many": np.arange(20) % 5, "a_two": np.arange(20) % 2}
    finding = InitialLossCheck(sink=None).run(model, np.ones((20, 4), "float32"), y)
    assert finding.severity == "ok"
    assert finding.evidence["expected"] == pytest.approx(3 * math.log(5) + math.log(2))


def test_loss_weights_and_two_outputs_add_up():
    inputs = keras.Input((20,))
    outputs = [keras.layers.Dense(n, kernel_initializer="zeros")(inputs) for n in (10, 1)]
    model = keras.Model(inputs, outputs)
    losses = [
        L.SparseCategoricalCrossentropy(from_logits=True),
        L.BinaryCrossentropy(from_logits=True),
    ]
    model.compile("adam", losses, loss_weights=[2.0, 0.5])
    x, y = data()
    finding = heard(model, x, [y, (y % 2).astype("float32")[:, None]])
    assert finding.evidence["expected"] == pytest.approx(2 * math.log(10) + 0.5 * math.log(2))
    assert finding.evidence["loss"] == pytest.approx(finding.evidence["expected"], rel=1e-5)


def test_a_subclassed_model_is_judged_with_the_classes_named():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(10, kernel_initializer="zeros")

        def call(self, x):
            return self.head(x)

    model = Mine()
    model.compile("adam", L.SparseCategoricalCrossentropy(from_logits=True))
    assert heard(model, *data(), classes=10).severity == "ok"


def test_a_model_trained_before_is_not_blamed():
    model = model_with()
    x, y = data(64)
    model.fit(x, y, epochs=30, verbose=0)
    assert heard(model, x, y).severity == "note"


def test_run_measures_several_batches_without_an_update():
    model = model_with(0.5)
    x, y = data(256)
    before = Snapshot(model)
    said = []
    finding = InitialLossCheck(batches=4, sink=said.append).run(model, x, y, batch_size=64)
    assert before.same() == []
    assert said == [finding]
    expected = model.evaluate(x, y, batch_size=256, verbose=0)
    assert finding.evidence["loss"] == pytest.approx(expected, rel=1e-4)
    assert finding.evidence["batches"] == 4
