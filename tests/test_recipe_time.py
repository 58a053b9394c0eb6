"""What a run does with little time: fewer looks, a smaller network, no augmentation."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from kcnn.data import load
from kcnn.recipe import BUDGETS, Display, RecipeError, Settings, run
from kcnn.recipe.clock import Clock
from kcnn.recipe.context import Context
from kcnn.recipe.files import write_json
from kcnn.recipe.folder import network_of
from kcnn.recipe.search_phases import SearchPlan, search_plan
from kcnn.recipe.step import Outcome
from kcnn.recipe.steps.learning_rates import LearningRates, SweepLearningRates, _lightened
from kcnn.recipe.steps.search import Searched, Trial, judge_search
from kcnn.recipe.steps.small_sample import OverfitSmallSample

UPDATE = 0.1  # seconds


def context(limit, *, per_pass=90, augment="auto"):
    """A run that has just begun, with as much time."""
    return SimpleNamespace(
        budget=BUDGETS["standard"],
        settings=Settings(augment=augment),
        clock=Clock(limit),
        batch_size=100,
        updates_per_pass=lambda batch_size: per_pass * 100 // batch_size,
        data=SimpleNamespace(augmented_by="crop"),
    )


def test_without_a_limit_the_budget_counts():
    budget = BUDGETS["standard"]
    assert search_plan(context(None), UPDATE) == SearchPlan(budget.trials, budget.search_updates)


def test_a_fifth_of_the_time_is_for_trials_that_say_something():
    plan = search_plan(context(3600), UPDATE)
    assert plan.trials == BUDGETS["standard"].trials
    assert plan.trials * plan.seconds == pytest.approx(720, rel=0.01)
    fewer = search_plan(context(751), UPDATE)  # 150 s, for trials of 30 s and more
    assert fewer.trials == 5
    assert fewer.updates >= 300
    assert search_plan(context(1500, per_pass=300), UPDATE).trials == 3  # of 90 s and more


def test_where_no_trial_would_say_anything_there_is_one_of_the_defaults():
    plan = search_plan(context(100), UPDATE)
    assert (plan.trials, plan.updates) == (1, 10)
    with pytest.raises(RecipeError, match=r"too short for a search.*--time of 2\ds or more"):
        search_plan(context(5), UPDATE)


def test_a_trial_with_larger_batches_has_as_many_images():
    plan = SearchPlan(4, 200, 20.0)
    assert plan.expected(context(100), 100) == 200
    assert plan.expected(context(100), 50) == 400


@pytest.mark.parametrize(
    ("limit", "augment", "left"),
    [
        (100, "auto", "none"),
        (270, "auto", "light"),
        (1000, "auto", "crop"),
        (100, "crop", "crop"),
        (None, "auto", "crop"),
    ],
)
def test_images_that_are_seen_a_few_times_are_augmented_less(limit, augment, left):
    given = context(limit, augment=augment)
    found = _lightened(given, Outcome(LearningRates(0.0, 20, (), 0.1, UPDATE), ()))
    SweepLearningRates().settle(found.result, given)
    assert given.data.augmented_by == left
    assert [f.check for f in found.findings] == (["augmentation"] if left != "crop" else [])


def test_the_network_that_is_not_named_fits_the_time(tmp_path):
    builder = pytest.importorskip("kcnn_cli._builder", reason="needs `pip install -e .`")
    digits = load("digits")
    assert builder.fitting(digits, None) == ("resnet20", ())
    assert builder.fitting(digits, 1e6) == ("resnet20", ())
    name, (said,) = builder.fitting(digits, 1e-3)
    assert name == "conv4"
    assert "resnet20" in said
    (tmp_path / "state").mkdir()
    identity = {"identity": {"model": {"source": "resnet8 (norm batch, stem cifar)"}}}
    write_json(tmp_path / "state" / "identity.json", identity)
    assert network_of(tmp_path) == "resnet8"  # a resumed run keeps to it
    write_json(tmp_path / "result.json", identity)
    (tmp_path / "state" / "identity.json").unlink()
    assert network_of(tmp_path) == "resnet8"  # a finished one, too
    assert network_of(tmp_path / "none") is None


def test_averages_of_a_network_of_keras_applications_follow_few_updates():
    builder = pytest.importorskip("kcnn_cli._builder", reason="needs `pip install -e .`")
    digits = load("digits", max_images=100, image_size=32)
    source = builder.source_of(
        "keras.applications.MobileNetV3Small", digits, norm=None, widths=(1.0,)
    )
    layers = source.build({})._flatten_layers()
    norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms
    assert {x.momentum for x in norms} == {builder.MOMENTUM}  # 0.999 in keras.applications
    assert f"momentum of BatchNorm at most {builder.MOMENTUM}" in source.chosen[0]


def small_net(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 16)(inputs)
    x = keras.layers.Conv2D(12, 3, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def test_a_time_shorter_than_a_trial_is_a_line_and_keeps_the_steps(tmp_path):
    data = load("digits", max_images=300)
    options = {
        "out": tmp_path / "run",
        "augment": "none",
        "display": Display(Console(quiet=True)),
        "keep_going": True,
    }
    with pytest.raises(RecipeError, match=r"too short for a search.*--resume and a --time of \d+s"):
        run(small_net, data, time=0.5, **options)
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["status"] == "interrupted"
    assert len(record["steps"]) == 3
    again = run(small_net, data, time=record["seconds"] + 8, resume=True, **options)
    assert again["status"] == "finished"


def test_learning_by_heart_ends_with_its_share_of_the_time(tmp_path):
    def slow(hp):
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), Slow(10)])

    class Slow(keras.layers.Dense):  # far from learning anything by heart
        def call(self, x):
            return super().call(0.0 * x)

    data = load("digits", max_images=300)
    quiet = Display(Console(quiet=True))
    context = Context(slow, data, Settings(time=20, augment="none"), tmp_path, display=quiet)
    context.clock = Clock(1.0)
    before = [np.array(w) for w in context.models.fresh(context.hp).weights]
    found = OverfitSmallSample().run(context)
    assert context.clock.spent < 10  # three rates of 200 updates otherwise
    assert [f.severity for f in found.findings] == ["note"]
    assert "share of the time" in found.findings[0].seen
    assert found.result.iterations < 600
    assert found.result.seconds_per_update > 0
    for a, b in zip(before, context.models.fresh(context.hp).weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_one_trial_of_a_short_time_is_no_warning():
    hp = {"learning_rate": 0.1, "weight_decay": 0.005, "batch_size": 64}
    for updates, severity in ((10, "note"), (400, "warning")):
        trial = Trial(0, 1, hp, 2.2, 13.9, 0.11, 1, updates, 1.0, "finished")
        finding = judge_search(Searched("random", "median", (trial,), 0, {}, None), 2.303)
        assert finding.severity == severity


def test_a_step_that_failed_for_want_of_time_is_run_again(tmp_path):
    def still(hp):  # learns nothing at all in the time there is
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), Still(10)])

    class Still(keras.layers.Dense):
        def call(self, x):
            return super().call(0.0 * x)

    data = load("digits", max_images=300)
    options = {"out": tmp_path / "run", "augment": "none", "display": Display(Console(quiet=True))}
    with pytest.raises(RecipeError, match=r"time ended in step \d.*--resume and a --time of \d+s"):
        run(still, data, time=0.01, **options)
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["status"] == "interrupted"
    assert all(step["status"] != "failure" for step in record["steps"])
