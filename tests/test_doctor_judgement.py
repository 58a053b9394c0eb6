"""What is told of a run, how gravely, and where it points."""

import dataclasses
import types

import keras
import numpy as np
import pytest
from doctor_tools import found

from kcnn.callbacks import Finding, examine
from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor import likely, possible, registered
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.copies import copy_model
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import read_loss
from kcnn.callbacks.doctor.program.skill import skill
from kcnn.callbacks.doctor.program.task import read_task
from kcnn.callbacks.doctor.trials.after_run import _does_well
from kcnn.callbacks.doctor.trials.data import TrialData
from kcnn.callbacks.doctor.trials.gain import Gain
from kcnn.callbacks.doctor.trials.measure import Outcome
from kcnn.callbacks.doctor.trials.report import Trial, _in_turn, _on_course, _told, _yields
from kcnn_cli._findings_page import headline, proof

RNG = np.random.default_rng(5)
SPARSE = "sparse_categorical_crossentropy"


def two_inputs(end="softmax", outputs=None):
    parts = {name: keras.Input((4,), name=name) for name in ("left", "right")}
    h = keras.layers.Dense(16, "relu")(keras.layers.Concatenate()(list(parts.values())))
    last = keras.layers.Dense(3, end, name="kind")(h)
    return keras.Model(parts, {"kind": last} if outputs else last)


def test_a_run_that_learned_nothing_is_said_though_no_cause_was_found():
    model = two_inputs()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = {name: RNG.normal(size=(320, 4)).astype("float32") for name in ("left", "right")}
    diagnosis = examine(model, x, RNG.integers(0, 3, 320), epochs=6, batch_size=32)
    assert diagnosis.causes == []
    assert [f.severity for f in diagnosis.findings if f.check == "skill"] == ["warning"]
    assert headline(diagnosis) == ("nothing learned, no cause found", False)


def test_a_refuted_suspicion_asks_for_nothing_and_says_its_trial():
    x = RNG.uniform(-1, 1, (400, 2)).astype("float32")
    y = x @ np.array([1.0, -2.0], "float32") + 0.8 * RNG.normal(size=400).astype("float32")
    layers = [keras.Input((2,)), keras.layers.Dense(16), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    notes = [
        f for f in examine(model, x, y, epochs=15, batch_size=16).findings if "tried" in f.evidence
    ]
    assert notes
    for note in notes:
        assert (note.severity, note.advice) == ("note", "")
        assert proof(note).startswith("No cause: on a copy with ")


def test_a_finding_on_an_output_by_name_points_at_its_layer():
    model = two_inputs("sigmoid", outputs=True)
    model.compile("adam", {"kind": "categorical_crossentropy"})
    x = {name: RNG.normal(size=(96, 4)).astype("float32") for name in ("left", "right")}
    hot = np.eye(3, dtype="float32")[RNG.integers(0, 3, 96)]
    one = next(h for h in found(model, x, {"kind": hot}) if h.check == "output_activation")
    assert one.where == "kind"


def trial(cause, cure, score, stage="end"):
    one = possible("", "", "", cause=cause, cure=cure, stage=stage)
    return Trial(one, Outcome(score, score), Gain(0.2, 2.0), passed=True)


@pytest.mark.parametrize(("longer", "yields"), [(0.82, True), (0.70, False)])
def test_transforms_that_only_slow_training_yield_to_longer_training(longer, yields):
    without = trial("augmentation_breaks_label", Intervention(scale_x=True), 0.83)
    rival = trial("too_few_epochs", Intervention(longer=True), longer)
    assert _yields(without, [without, rival], 1000) == yields


@pytest.mark.parametrize(
    ("stage", "steps", "optimizer", "yields"),
    [("end", 72, "", True), ("static", 72, "", False), ("end", 600, "", False),
     ("end", 72, "Adam", False)],
)  # fmt: skip
def test_an_ordinary_rate_yields_to_longer_training_in_a_short_run(stage, steps, optimizer, yields):
    raised = trial("lr_too_low", Intervention(rate=10.0, optimizer=optimizer), 0.95, stage)
    longer = trial("too_few_epochs", Intervention(longer=True), 0.85)
    assert _yields(raised, [raised, longer], steps) == yields
    assert not _yields(raised, [raised], steps)


@pytest.mark.parametrize(("make", "yields"), [(possible, True), (likely, False)])
def test_an_ordinary_rate_is_not_too_low_while_the_loss_falls_as_it_should(make, yields):
    one = make("", "", "", cause="lr_too_low", cure=Intervention(rate=10.0), stage="static")
    raised = Trial(one, Outcome(0.95, 0.95), Gain(0.2, 2.0), passed=True)
    assert _yields(raised, [raised], 600, on_course=True) == yields


@pytest.mark.parametrize(
    ("losses", "train", "on_course"),
    [([2.3, 1.6, 1.2, 0.9], 0.2, True), ([2.3, 2.2, 2.1, 2.0], 0.6, True),
     ([2.3, 2.2, 2.1, 2.0], 0.2, False), ([2.3, 0.9, 1.4, 0.8, 1.0], 0.6, False),
     ([2.3, 0.2], 0.9, False), ([2.3, np.nan, 0.1], 0.9, False), ([], 0.9, False)],
)  # fmt: skip
def test_a_loss_falls_as_it_should_steadily_and_by_half(losses, train, on_course):
    run = types.SimpleNamespace(history={"loss": losses}, final=Outcome(train, train))
    assert _on_course(run) == on_course


@pytest.mark.parametrize(
    ("classes", "among", "trusted"),
    [(4, 4, True), (4, 2, True), (4, 1, False), (40, 16, True), (40, 5, False)],
)
def test_validation_rows_of_few_of_the_classes_excuse_nothing(classes, among, trusted):
    """Of 40 classes 16 rows can hold no more than 16, and hold 13 by chance."""
    ids = np.arange(400) % classes
    task = read_task(ids, loss=read_loss(SPARSE), units=classes, scores=True)
    train, val = Rows(ids, ids), Rows(np.zeros((16, 1)), np.arange(16) % among)
    trials = types.SimpleNamespace(data=TrialData(train, val, train))
    run = types.SimpleNamespace(task=task, final=Outcome(1.0, 1.0), trials=trials)
    assert _does_well(run) == trusted


def known_by_heart(val, val_loss):
    losses = [1.0] * 5 + [0.01] * 15
    history = {"loss": losses, "val_loss": np.linspace(1.0, val_loss, 20)}
    run = types.SimpleNamespace(history=history, final=Outcome(0.99, val))
    check = next(one for one in registered("run") if one.id == "by_heart")
    return list(check.hypotheses(run, {}))


def test_rows_known_by_heart_for_most_of_the_run_overfit_though_no_loss_turns():
    (found,) = known_by_heart(0.4, 0.95)
    assert found.is_proven
    assert found.evidence["by_heart_since"] == 6
    assert not known_by_heart(0.8, 0.95)  # validation rows are answered too
    assert not known_by_heart(0.0, 0.95)  # nothing carries over: labels or inputs are wrong
    assert not known_by_heart(0.4, 0.5)  # it still falls


@pytest.mark.parametrize(("factor", "strength"), [(0.011, 0.0), (0.05, 1.0)])
def test_penalties_as_large_as_the_loss_of_a_guess_are_odd(factor, strength):
    penalty = keras.regularizers.L1(factor)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, "relu", kernel_initializer="ones", kernel_regularizer=penalty),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    y = RNG.normal(size=(64, 1)).astype("float32")
    one = next(h for h in found(model, np.zeros((64, 8), "float32"), y)
               if h.check == "strong_regularization")  # fmt: skip
    assert one.strength == strength  # 8 x 4 weights of 1 cost 32 times the factor


@pytest.mark.parametrize(("make", "first"), [(likely, "rate"), (possible, "longer")])
def test_longer_training_waits_for_what_is_odd_in_itself(make, first):
    longer = trial("too_few_epochs", Intervention(longer=True), 0.99)
    rate = make("", "", "", cause="lr_too_high", cure=Intervention(rate=0.01))
    rate = Trial(rate, Outcome(0.5, 0.5), Gain(0.4, 1.7), passed=True)
    ordered = _in_turn([longer, rate])
    assert ordered == ([rate, longer] if first == "rate" else [longer, rate])
    assert _in_turn([longer, dataclasses.replace(rate, passed=False)])[0] is longer


def test_longer_training_is_advised_as_long_as_it_was_tried():
    run = types.SimpleNamespace(steps=72)
    case = types.SimpleNamespace(epochs=6)
    context = types.SimpleNamespace(
        rate=0.001, optimizer_name="Adam", trials=run, case=case, by_loss=False
    )
    longer = trial("too_few_epochs", Intervention(longer=True), 0.9)
    longer.outcome.steps = 400
    finding = _told(context, Outcome(0.3, 0.3), longer, "failure")
    assert finding.advice == "Train longer: epochs=40."  # 72 and 400 steps, 12 an epoch


def test_one_measurement_is_no_class_and_tells_no_skill():
    loss = read_loss("mse")
    task = read_task(np.array([5]), loss=loss, units=1, scores=False)
    assert task.kind == "regression"
    head = HeadFacts((), 1, 2)
    assert np.isnan(skill(np.array([[4.9]]), np.array([5]), task, head, loss))
    assert (
        read_task(np.array([5]), loss=read_loss("binary_crossentropy"), units=1, scores=False).kind
        == "binary"
    )


def test_a_trial_of_a_models_own_loss_is_told_as_shares_of_it():
    told = {"before": 0.1, "after": 0.6, "by_loss": True, "tried": "learning rate 0.001"}
    finding = Finding(
        "rate_too_low", "failure", "", "", evidence={**told, "confirmed_by_trial": True}
    )
    assert proof(finding) == (
        "Confirmed: with learning rate 0.001 the loss falls by 60% of its start, by 10% without."
    )


def test_an_accuracy_of_the_next_letter_at_each_place_is_a_metric_for_it():
    inputs = keras.Input((6,), dtype="int32")
    h = keras.layers.GRU(8, return_sequences=True)(keras.layers.Embedding(5, 8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(5, "softmax")(h))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    letters = RNG.integers(0, 5, (64, 7))
    causes = {h.cause for h in found(model, letters[:, :-1], letters[:, 1:]) if h.is_proven}
    assert causes == set()


def test_a_copy_normalizes_like_the_adapted_layer_of_the_model():
    x = (RNG.normal(size=(64, 4)) * [1, 10, 1e3, 1e5] + 300).astype("float32")
    normal = keras.layers.Normalization()
    normal.adapt(x)
    model = keras.Sequential([keras.Input((4,)), normal, keras.layers.Dense(2)])
    twin = copy_model(model, x[:2])
    np.testing.assert_array_equal(np.asarray(twin(x)), np.asarray(model(x)))
