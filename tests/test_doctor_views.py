"""The doctor on models that are not one stack: subclassed, several inputs or outputs, images."""

import keras
import numpy as np
import pytest
from doctor_tools import found

from kcnn.callbacks import examine
from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor.checks.validation_rows import renumbered
from kcnn.callbacks.doctor.program.graph import graph_of, runs_away
from kcnn.callbacks.doctor.program.neighbours import contradicts
from kcnn.callbacks.doctor.program.skill import loss_skill
from kcnn.callbacks.doctor.trials.gain import Gain, convincing, hopeless
from kcnn.callbacks.keras_internals import graph_links

RNG = np.random.default_rng(4)
X = RNG.normal(size=(160, 6)).astype("float32")
IDS = RNG.integers(0, 4, 160)
HOT = np.eye(4, dtype="float32")[IDS]
PICTURES = RNG.random((40, 8, 8, 1)).astype("float32")


class Net(keras.Model):
    """Two layers and whatever stands between them."""

    def __init__(self, end="softmax", between=None):
        super().__init__()
        self.first, self.between = keras.layers.Dense(8), between
        self.last = keras.layers.Dense(4 if end != "one" else 1, activation="softmax")

    def call(self, x):
        h = self.first(x)
        return self.last(h if self.between is None else self.between(h))


def firm(model, x, y, loss, weight=0.89):
    """Causes that are named at once, or for the smallest gain of a trial."""
    model.compile("adam", loss)
    if not model.built:
        model(keras.tree.map_structure(lambda leaf: leaf[:2], x))
    return [h.cause for h in found(model, x, y) if h.prior >= weight]


def stack(*layers):
    return keras.Sequential([keras.layers.Input((6,)), *layers])


def test_a_subclassed_model_is_read_like_its_functional_twin():
    assert firm(Net(), X, IDS, "sparse_categorical_crossentropy") == ["missing_hidden_activation"]
    bent = Net(between=keras.ops.relu)
    assert firm(bent, X, IDS, "sparse_categorical_crossentropy") == []
    assert firm(Net("one", keras.ops.relu), X, IDS % 2, "binary_crossentropy") == [
        "wrong_output_activation"
    ]


def test_reading_a_subclassed_model_leaves_no_links():
    model = Net()
    model(X[:2])
    before = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    with graph_links(model):
        assert graph_of(model, X[:2]) is not model
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == before


def test_a_call_that_cannot_be_traced_is_left_alone():
    model = Net(between=lambda h: h.numpy() * 1.0)
    model(X[:2])
    assert graph_of(model, X[:2]) is model


@pytest.mark.parametrize(
    ("layers", "y", "loss", "cause"),
    [
        ([keras.layers.Dense(4, "softmax")], HOT, "sparse_categorical_crossentropy",
         "label_encoding"),
        ([keras.layers.Dense(2, "softmax")], IDS % 2, "categorical_crossentropy",
         "label_encoding"),
        ([keras.layers.Dense(1, "sigmoid")], HOT, "mse", "wrong_output_units"),
        ([keras.layers.Dense(2, "softmax")], IDS % 2, "mse", "wrong_output_units"),
        ([keras.layers.Reshape((6, 1)), keras.layers.Dense(4, "softmax")], HOT,
         "categorical_crossentropy", "wrong_output_units"),
    ],
)  # fmt: skip
def test_targets_in_another_form_than_the_head(layers, y, loss, cause):
    assert firm(stack(*layers), X, y, loss)[:1] == [cause]


@pytest.mark.parametrize(
    ("activation", "y", "loss", "cause"),
    [
        ("softmax", (PICTURES > 0.5).astype("float32"), "binary_crossentropy",
         "wrong_output_activation"),
        ("sigmoid", 4 * PICTURES - 2, "mse", "wrong_output_activation"),
        ("sigmoid", PICTURES, "binary_crossentropy", None),
        (None, 4 * PICTURES - 2, "mse", None),
    ],
)  # fmt: skip
def test_images_as_targets(activation, y, loss, cause):
    model = keras.Sequential([
        keras.layers.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(1, 1, activation=activation),
    ])  # fmt: skip
    assert firm(model, PICTURES, y, loss) == ([] if cause is None else [cause])


def two_ends(end):
    inputs = [keras.layers.Input((6,)), keras.layers.Input((6,))]
    h = keras.layers.Dense(16, "relu")(keras.layers.Concatenate()(inputs))
    outputs = [keras.layers.Dense(4, "softmax")(h), keras.layers.Dense(1, end)(h)]
    return keras.Model(inputs, outputs)


def test_each_of_several_outputs_is_judged():
    losses = ["sparse_categorical_crossentropy", "binary_crossentropy"]
    assert firm(two_ends("sigmoid"), [X, X], [IDS, IDS % 2], losses) == []
    assert firm(two_ends("softmax"), [X, X], [IDS, IDS % 2], losses) == ["wrong_output_activation"]


def test_trials_find_the_rate_of_a_model_with_several_outputs():
    y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0)
    model = two_ends("sigmoid")
    model.compile(
        keras.optimizers.SGD(1e-6), ["sparse_categorical_crossentropy", "binary_crossentropy"]
    )
    diagnosis = examine(model, [X, X], [y, y % 2], epochs=60, batch_size=16)
    assert diagnosis.causes[:1] == ["lr_too_low"], str(diagnosis)


def test_a_renumbering_of_the_classes_is_told_from_errors():
    other = np.array([2, 0, 3, 1])
    assert renumbered(IDS, other[IDS], 4)
    assert not renumbered(IDS, IDS, 4)
    assert not renumbered(IDS, RNG.permutation(IDS), 4)


def test_skill_under_a_loss_of_the_users_own():
    y = np.linspace(0, 10, 101, dtype="float32")

    def pinball(t, p):
        return np.maximum(0.9 * (t - p), -0.1 * (t - p))

    def own(t, p):
        return keras.ops.maximum(0.9 * (t - p), -0.1 * (t - p))

    constant = min(pinball(y, q).mean() for q in np.quantile(y, np.linspace(0, 1, 21)))
    half = y + 0.5
    expected = 1 - pinball(y, half).mean() / constant
    np.testing.assert_allclose(loss_skill(own, half, y), expected, rtol=1e-5)
    assert loss_skill(own, y, y) == 1
    assert loss_skill(lambda t, p: t - p, half, y) == -1  # no measure: it has no lower end


@pytest.mark.parametrize("weight", [0.3, 0.45, 0.6, 0.85])
def test_only_what_no_outcome_could_prove_is_left_out(weight):
    for before in np.linspace(-1, 1, 41):
        best = 1 - before, (1.02 - before) / 0.02
        assert hopeless(weight, before) == (not convincing(Gain(*best), weight, before))


def suspects(model, x, y, loss):
    model.compile("adam", loss)
    return {h.cause: h.seen for h in sorted(found(model, x, y), key=lambda h: h.prior)}


@pytest.mark.parametrize(("trainable", "frozen"), [(False, True), (True, False)])
def test_an_embedding_frozen_at_its_random_start(trainable, frozen):
    words = RNG.integers(0, 50, (160, 6))
    model = keras.Sequential([
        keras.layers.Input((6,), dtype="int32"),
        keras.layers.Embedding(50, 8, trainable=trainable),
        keras.layers.Flatten(),
        keras.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip
    named = suspects(model, words, IDS, "sparse_categorical_crossentropy")
    assert ("frozen_layers" in named) == frozen
    model.layers[0].set_weights([RNG.normal(size=(50, 8))])
    named = suspects(model, words, IDS, "sparse_categorical_crossentropy")
    assert "frozen_layers" not in named  # vectors from elsewhere may well be frozen


@pytest.mark.parametrize(
    ("activation", "away"),
    [("relu", False), ("gelu", False), ("softmax", False), ("exponential", True),
     (keras.ops.square, True), (lambda x: 1.5 * x, False)],
)  # fmt: skip
def test_activations_that_grow_faster_than_their_input(activation, away):
    assert runs_away(keras.layers.Dense(3, activation=activation)) == away


@pytest.mark.parametrize(("strides", "small"), [(1, False), (4, True)])
def test_maps_of_a_few_pixels_are_worth_a_trial(strides, small):
    model = keras.Sequential([
        keras.layers.Input((8, 8, 1)),
        keras.layers.Conv2D(32, 3, strides=strides, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    named = suspects(model, PICTURES, IDS[:40] % 2, "binary_crossentropy")
    assert ("2x2" in named.get("insufficient_capacity", "")) == small


def test_the_same_rows_with_other_labels_contradict_themselves():
    twice, labels = np.concatenate([X, X]), np.concatenate([IDS, IDS])
    assert not contradicts(Rows(twice, labels), labels)
    assert contradicts(Rows(twice, labels), RNG.permutation(labels))
    assert not contradicts(Rows(X, IDS), RNG.permutation(IDS))


def test_trials_of_mixed_precision_keep_the_scale_of_the_loss():
    keras.config.set_dtype_policy("mixed_float16")
    y = (X[:, 0] > 0).astype(int)
    model = stack(keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid", dtype="float32"))
    model.compile(keras.optimizers.Adam(1e-6), "binary_crossentropy")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    diagnosis = examine(model, X, y, epochs=40, batch_size=16)
    assert diagnosis.causes[:1] == ["lr_too_low"], str(diagnosis)
    assert diagnosis.complete, diagnosis.unseen


def test_each_head_is_scored_by_its_own_task():
    x = RNG.normal(size=(400, 6)).astype("float32")
    kind, size = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0), x[:, 2] + 300.0
    inputs = keras.layers.Input((6,))
    h = keras.layers.Dense(16, "relu")(inputs)
    ends = [keras.layers.Dense(3, "softmax")(h), keras.layers.Dense(1)(h)]
    model = keras.Model(inputs, ends)
    model.compile(keras.optimizers.Adam(0.01), ["sparse_categorical_crossentropy", "mse"])
    diagnosis = examine(model, x, [kind, size], epochs=3, batch_size=32)
    final = diagnosis.numbers["final"]
    assert final["train"] < 0.6  # the classes are learned, the far numbers are not
