"""The doctor's data and layer facts, before any training."""

import keras
import numpy as np
import pytest
from doctor_tools import found

from kcnn.callbacks.data import Rows, draw
from kcnn.callbacks.doctor._reading import read_context
from kcnn.callbacks.doctor.checks.learning_rate import fading
from kcnn.callbacks.doctor.program.loss import read_loss
from kcnn.callbacks.doctor.program.neighbours import agreement, placeless_agreement
from kcnn.callbacks.doctor.program.rates import step_rates
from kcnn.callbacks.doctor.program.task import read_task

RNG = np.random.default_rng(1)
Y = RNG.integers(0, 3, 240)
X = (RNG.normal(size=(240, 5)) + 2 * np.eye(5)[Y]).astype("float32")


def net(*body, optimizer="adam", units=3, shape=(5,)):
    layers = body or (keras.layers.Dense(8, "relu"),)
    end = keras.layers.Dense(units, "softmax")
    model = keras.Sequential([keras.layers.Input(shape), *layers, end])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def weights(model, x=X, y=Y, **fit):
    """Cause to prior of the hypotheses; 2 when proven."""
    hypotheses = sorted(found(model, x, y, **fit), key=lambda h: h.prior)
    return {h.cause: 2.0 if h.is_proven else h.prior for h in hypotheses}


def test_a_sound_program_raises_no_strong_suspicion():
    assert max(weights(net(), validation_split=0.2).values(), default=0) < 0.6


@pytest.mark.parametrize("place", ["x", "y", "val"])
def test_nan_is_found_wherever_it_is(place):
    x, y = X.copy(), Y.astype("float32")
    val = X[:40].copy()
    {"x": x, "y": y, "val": val}[place].flat[3] = np.nan
    assert weights(net(), x, y, validation_data=(val, Y[:40]))["nan_inputs"] == 2


@pytest.mark.parametrize(("shuffle", "firm"), [(False, True), (True, False)])
def test_class_blocks_matter_only_without_shuffling(shuffle, firm):
    order = np.argsort(Y, kind="stable")
    named = weights(net(), X[order], Y[order], shuffle=shuffle)
    assert (named.get("missing_shuffle") == 2) == firm


def test_ordered_classes_before_validation_split():
    order = np.argsort(Y, kind="stable")
    assert weights(net(), X[order], Y[order], validation_split=0.2)["missing_shuffle"] == 2
    assert "missing_shuffle" not in weights(net(), validation_split=0.2)


def test_leaked_rows_are_counted_and_coarse_data_is_no_leak():
    assert weights(net(), validation_data=(X[:60], Y[:60]))["data_leak"] == 2
    coarse = RNG.integers(0, 2, (240, 5)).astype("float32")
    assert "data_leak" not in weights(net(), coarse, Y, validation_data=(coarse[:60], Y[:60]))


def test_validation_inputs_of_another_scale():
    fresh = (RNG.normal(size=(80, 5)) + 2 * np.eye(5)[Y[:80]]).astype("float32")
    assert weights(net(), validation_data=(255 * fresh, Y[:80]))["preprocessing_mismatch"] == 2
    assert weights(net(), validation_data=(fresh + 9, Y[:80]))["preprocessing_mismatch"] == 2
    assert "preprocessing_mismatch" not in weights(net(), validation_data=(fresh, Y[:80]))


def test_sample_weights_of_one_balance_no_classes():
    rare = (RNG.random(240) < 0.05).astype("int64")
    assert "class_imbalance" in weights(net(), X, rare, sample_weight=np.ones(240))
    balanced = np.where(rare, 10.0, 1.0)
    assert "class_imbalance" not in weights(net(), X, rare, sample_weight=balanced)


def test_scale_is_judged_where_the_first_kernel_sees_it():
    raw = RNG.integers(0, 256, (60, 8, 8, 3)).astype("float32")
    conv = lambda: keras.layers.Conv2D(4, 3, activation="relu")  # noqa: E731
    flat = keras.layers.Flatten
    shape = (8, 8, 3)
    plain = weights(net(conv(), flat(), shape=shape), raw, Y[:60])
    scaled = weights(net(keras.layers.Rescaling(1 / 255), conv(), flat(), shape=shape), raw, Y[:60])
    bare = keras.layers.Conv2D(4, 3, use_bias=False)
    norm = [bare, keras.layers.BatchNormalization(), keras.layers.ReLU(), flat()]
    assert plain["unnormalized_inputs"] > 0.6
    assert "unnormalized_inputs" not in scaled
    assert "unnormalized_inputs" not in weights(net(*norm, shape=shape), raw, Y[:60])


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ([keras.layers.Dense(8, "relu", trainable=False)], "frozen_layers"),
        ([keras.layers.Dense(8, "relu", kernel_initializer="zeros")], "bad_initialization"),
        (
            [keras.layers.Dense(8, "relu"), keras.layers.GroupNormalization(8)],
            "bad_normalization",
        ),
    ],
)
def test_bodies_that_cannot_work(body, cause):
    assert weights(net(*body))[cause] == 2


def test_a_linear_stack_is_likely_and_left_to_a_trial():
    stack = net(keras.layers.Dense(8), keras.layers.Dense(8))
    assert 0.88 < weights(stack)["missing_hidden_activation"] < 1
    bent = net(keras.layers.Dense(8, "relu"), keras.layers.Dense(8, "relu"))
    assert "missing_hidden_activation" not in weights(bent)


def test_residual_and_pre_activation_bodies_are_sound():
    inputs = keras.Input((5,))
    x = keras.layers.Dense(8, use_bias=False)(inputs)
    for _ in range(2):
        y = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.Add()([x, keras.layers.Dense(8)(y)])
    out = keras.layers.Dense(3, "softmax")(keras.layers.ReLU()(x))
    model = keras.Model(inputs, out)
    model.compile("adam", "sparse_categorical_crossentropy")
    assert "missing_hidden_activation" not in weights(model)


def test_batch_statistics_of_one_sample():
    body = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    assert weights(net(*body), batch_size=1)["bad_normalization"] == 2
    model = net(keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.ReLU())
    assert "bad_normalization" not in weights(model, batch_size=16)


@pytest.mark.parametrize(
    ("rate", "cause"), [(-0.01, "lr_too_high"), (0.0, "lr_too_low"), (1e-6, "lr_too_low")]
)
def test_odd_rates_are_suspected(rate, cause):
    assert weights(net(optimizer=keras.optimizers.Adam(rate)))[cause] > 0.7


def test_neighbours_tell_labels_that_belong_from_labels_that_do_not():
    loss = read_loss("sparse_categorical_crossentropy")
    task = read_task(Y, loss=loss, units=3, scores=True)
    rows = draw(X, Y, {}).train
    right = agreement(rows, task)
    wrong = agreement(Rows(rows.x, RNG.permutation(Y)), task)
    assert right[0] > 8
    assert abs(wrong[0]) < 4


def test_words_tell_where_places_do_not():
    ids = RNG.integers(20, 100, (300, 12))
    y = RNG.integers(0, 2, 300)
    ids[np.arange(300), RNG.integers(0, 12, 300)] = 5 + y  # one word, anywhere, is the label
    texts = [keras.layers.Embedding(100, 4), keras.layers.Flatten()]
    loss = "sparse_categorical_crossentropy"
    for labels, known in ((y, True), (RNG.permutation(y), False)):
        program = read_context(net(*texts, units=2, shape=(12,)), draw(ids, labels, {}))
        task = read_task(labels, loss=read_loss(loss), units=2, scores=True)
        rows = program.case.train
        assert abs(agreement(rows, task)[0]) < 4
        assert (placeless_agreement(program.graph, rows, task) > 6) == known


def test_rates_of_a_schedule_step_by_step():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    rates = step_rates(keras.optimizers.SGD(schedule), [1e-4], 60)
    np.testing.assert_allclose(rates, 0.1 * 0.5 ** (np.arange(60) / 10), rtol=1e-5)
    assert fading(step_rates(keras.optimizers.SGD(schedule), [], 200)) > 0.6
    assert fading(step_rates(keras.optimizers.SGD(0.1), [0.1, 0.02], 60)) == 0
