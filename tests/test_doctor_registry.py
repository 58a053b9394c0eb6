"""The registry of checks: complete, chosen by id, open to checks of one's own; and their words."""

import importlib
import pkgutil

import keras
import numpy as np
import pytest

from kcnn.callbacks import Doctor, examine
from kcnn.callbacks.causes import CAUSES
from kcnn.callbacks.doctor import (
    Certainty,
    Intervention,
    _registry,
    check,
    checks,
    likely,
    parameter,
    registered,
)
from kcnn.callbacks.doctor._priors import PRIORS, prior_of
from kcnn.callbacks.doctor.interventions import network
from kcnn.callbacks.doctor.trials.gain import Gain, convincing

RNG = np.random.default_rng(5)
Y = RNG.integers(0, 3, 240)
X = (RNG.normal(size=(240, 6)) + 2.5 * np.eye(6)[Y]).astype("float32")
MODULES = [m.name for m in pkgutil.iter_modules(checks.__path__)]


def net(optimizer="adam"):
    layers = [keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_the_folder_registers_a_check(module):
    name = importlib.import_module(f"kcnn.callbacks.doctor.checks.{module}").__name__
    assert [one for one in registered() if one.function.__module__ == name]


@pytest.mark.parametrize("one", registered(), ids=lambda one: one.id)
def test_every_check_says_what_it_looks_for_and_why_its_numbers(one):
    assert len(one.text) > 15
    assert set(one.causes) <= set(CAUSES)
    assert all(len(number.reason) > 10 for number in one.parameters.values())


def test_every_row_of_the_table_of_priors_is_a_check_and_in_order():
    assert set(PRIORS) <= {one.id for one in registered()}
    for row in PRIORS.values():
        assert all(0 < low <= high < 1 for low, high in row.values())


def test_what_is_likelier_has_less_to_win():
    gains = [Gain(d, 1 / (1 - d)) for d in np.linspace(0.01, 0.9, 60)]
    named = [sum(convincing(g, prior, 0.2) for g in gains) for prior in (0.3, 0.55, 0.65, 0.85)]
    assert named == sorted(named)
    assert named[0] < named[-1]


@pytest.fixture
def own(monkeypatch):
    """A check of somebody else's, gone after the test."""
    monkeypatch.setattr(_registry, "_CHECKS", dict(_registry._CHECKS))

    @check("far_columns", "unnormalized_inputs", stage="data", cure=Intervention(scale_x=True))
    def far_columns(context, *, most=parameter(1.0, "a reason of somebody else's")):
        """Columns whose mean is far from zero."""
        if np.abs(context.case.train.x.mean(0)).max() > most:
            yield likely("a column is far away", "columns around zero", "Move it.", "x")

    return far_columns


def test_a_check_of_ones_own_is_asked_and_tried(own):
    wild = X * np.array([1, 1000, 1, 1, 5000, 1], "float32") + 300
    fit = {"epochs": 12, "batch_size": 16, "select": ["far_columns"]}
    found = examine(net("sgd"), wild, Y, **fit)
    assert [f.check for f in found.findings] == ["far_columns"]
    assert found.causes == ["unnormalized_inputs"]
    assert "Normalization" in found.findings[0].advice  # what the trial did, not "Move it."
    set_high = {"far_columns": {"most": 1e9}}
    assert examine(
        net("sgd"), wild, Y, epochs=1, select=["far_columns"], parameters=set_high
    ).healthy


def test_checks_are_chosen_by_id():
    y = Y / 255.0
    only = examine(net(), X, y, epochs=1, select=["label_encoding"])
    assert only.causes == ["label_encoding"]
    without = examine(net(), X, y, epochs=1, ignore=["label_encoding"])
    assert "label_encoding" not in without.causes
    heard = []
    doctor = Doctor(X, y, ignore=["label_encoding"], sink=heard.append)
    net().fit(X, y, epochs=1, verbose=0, callbacks=[doctor])
    assert "label_encoding" not in [f.cause for f in heard]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"select": ["label_encodin"]}, "did you mean 'label_encoding'"),
        ({"ignore": ["nothing_like_it_at_all"]}, "unknown check"),
        ({"parameters": {"batch_size": {"fw": 1}}}, "did you mean 'few'"),
    ],
)
def test_names_that_do_not_exist_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        examine(net(), X, Y, epochs=1, **options)


def test_an_id_is_taken_once_and_a_cause_must_be_known():
    with pytest.raises(ValueError, match="is taken"):
        check("batch_size", "bad_batch_size", stage="end")(lambda context: ())
    with pytest.raises(ValueError, match="did you mean 'lr_too_high'"):
        check("another", "lr_to_high", stage="end")


def test_every_intervention_says_itself_in_words():
    edits = [getattr(network, name) for name in network.__all__ if name != "regularizes"]
    others = [Intervention(**{name: True}) for name in ("scale_x", "scale_y", "clip", "shuffle")]
    for one in [*edits, *others, Intervention(rate=0.1), Intervention(batch=32)]:
        assert one.tried(0.5), one
        assert one.advice(0.5, "Adam").endswith("."), one
    assert "0.05" in Intervention(rate=0.1).advice(0.5, "Adam")


def test_a_check_without_a_row_takes_the_middle_of_its_certainty():
    one = likely("seen", "expected", "advice")
    assert prior_of(one) == 0.7
    assert one.certainty is Certainty.LIKELY
    assert not one.is_proven


def test_what_its_own_trial_refutes_is_no_failure_and_no_warning():
    x = RNG.uniform(-1, 1, (400, 2)).astype("float32")
    y = x @ np.array([1.0, -2.0], "float32") + 0.8 * RNG.normal(size=400).astype("float32")
    layers = [keras.Input((2,)), keras.layers.Dense(16), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    found = examine(model, x, y, epochs=15, batch_size=16)
    named = {f.cause: f.severity for f in found.findings}
    assert named.get("missing_hidden_activation", "note") == "note"
