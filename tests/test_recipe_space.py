"""Settings and spaces: what a run may be asked, and what a builder is given."""

import math

import optuna
import pytest

from kcnn.recipe import HyperParameters, Parameter, RecipeError, Settings, Space, load_space
from kcnn.recipe.search_phases import narrowed
from kcnn.recipe.settings import seconds_of


def test_settings_name_the_nearest_choice():
    with pytest.raises(RecipeError, match=r"search must be one of .*'tpf'.*Did you mean 'tpe'"):
        Settings(search="tpf")


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(RecipeError, match="batch_size must be at least 1; received 0"):
        Settings(batch_size=0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("20m", 1200), ("1.5h", 5400), (12.5, 12.5)]
)
def test_times_are_read_with_their_units(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-3m", "0", "3 weeks"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(RecipeError, match="like 90s, 20m or 8h"):
        seconds_of(text)


BAD_SPACES = {
    "an empty range": ({"x": Parameter(low=2, high=1)}, "empty range"),
    "a log scale from 0": ({"x": Parameter(low=0, high=1, log=True)}, "log scale"),
    "a rate of 0": ({"learning_rate": [0.0, 0.1]}, "learning_rate must be above 0"),
    "half a range": ({"x": Parameter(low=1)}, "needs low and high"),
    "nothing": ({"x": Parameter()}, "needs low and high"),
    "an unknown key": ({"x": {"lo": 1, "high": 2}}, "Did you mean 'low'"),
    "an unknown condition": ({"x": {"choices": [1], "when": {"heda": 1}}}, "'heda'"),
    "a circle": (
        {"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}},
        "circle",
    ),
    "around what": ({"x": Parameter(around=3.0)}, "only learning_rate"),
    "a word": ({"x": "wide"}, "a list of choices"),
    "words for numbers": ({"x": {"low": 1, "high": "two"}}, "x: high must be a number.*'two'"),
    "a word for choices": ({"x": {"choices": "ab"}}, "x: choices must be a list"),
    "a number for true": ({"x": {"low": 1, "high": 2, "log": 1}}, "log must be true or false"),
    "no condition": ({"x": {"choices": [1], "when": 3}}, "when must be a table"),
}


@pytest.mark.parametrize("case", BAD_SPACES)
def test_impossible_spaces_are_refused(case):
    space, said = BAD_SPACES[case]
    with pytest.raises(RecipeError, match=said):
        Space(space).defaults()


SPACE = Space(
    {
        "dropout": Parameter(low=0.0, high=0.5, when={"head": "deep"}),
        "learning_rate": Parameter(around=5.0),
        "weight_decay": Parameter(low=1e-5, high=1e-3, log=True),
        "head": ["plain", "deep"],
        "layers": Parameter(low=1, high=4, integer=True, default=2),
    }
)


def test_a_space_survives_toml(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(SPACE.to_toml())
    assert load_space(file).to_dict() == SPACE.to_dict()


def test_a_broken_file_is_named(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text("[x\n")
    with pytest.raises(RecipeError, match=r"space\.toml is no valid TOML"):
        load_space(file)
    with pytest.raises(RecipeError, match="can't be read"):
        load_space(tmp_path / "other.toml")


def test_defaults_are_middles_and_leave_out_what_has_no_place():
    defaults = SPACE.defaults()
    assert defaults["weight_decay"] == pytest.approx(1e-4)
    assert defaults["layers"] == 2
    assert defaults["learning_rate"] is None
    assert "dropout" not in defaults  # the head is plain


def test_a_conditional_parameter_is_drawn_where_its_condition_holds():
    space = SPACE.around(0.1)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.suggest(study.ask()) for _ in range(40)]
    assert {values["head"] for values in drawn} == {"plain", "deep"}
    assert all(("dropout" in values) == (values["head"] == "deep") for values in drawn)
    assert all(0.02 <= values["learning_rate"] <= 0.5 for values in drawn)
    assert {values["layers"] for values in drawn} == {1, 2, 3, 4}


def test_narrowing_follows_the_best_quarter_in_log_units():
    """Twelve rates from 1e-4 on, three a decade: the best three are 1e-2, 2.15e-2 and 4.6e-2."""
    space = Space({"learning_rate": Parameter(low=1e-4, high=1.0, log=True), "head": ["a", "b"]})
    rates = [1e-4 * 10 ** (i / 3) for i in range(12)]
    trials = [
        ({"learning_rate": r, "head": "ab"[i % 2]}, abs(math.log10(r) + 5 / 3))
        for i, r in enumerate(rates)
    ]
    small = narrowed(space, trials)["learning_rate"]
    span = math.log(rates[8] / rates[6])
    assert small.low == pytest.approx(rates[6] / math.exp(0.25 * span))
    assert small.high == pytest.approx(rates[8] * math.exp(0.25 * span))
    assert narrowed(space, trials[::2])["head"].choices == ("a",)


def test_a_narrowed_range_keeps_a_quarter_of_the_old_one_and_its_bounds():
    space = Space({"x": Parameter(low=0.0, high=8.0)})
    small = narrowed(space, [({"x": 0.1}, 0.0), ({"x": 0.2}, 0.1), ({"x": 7.0}, 1.0)])["x"]
    assert small.low == 0.0
    assert small.high == pytest.approx(0.15 + 1.0, abs=0.06)


def test_hp_gives_items_and_attributes_and_names_the_nearest():
    hp = HyperParameters({"width": 2.0, "depth": 3})
    assert (hp["width"], hp.depth, hp.get("dropout", 0.1)) == (2.0, 3, 0.1)
    assert hp.read == {"width", "depth", "dropout"}
    assert dict(**hp) == {"width": 2.0, "depth": 3}
    with pytest.raises(KeyError, match="Did you mean 'width'"):
        hp["widht"]
