"""The main job as a user runs it: the command, its folder, its errors, its resume."""

import errno
import inspect
import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kcnn.recipe.checkpoint
import kcnn.recipe.search_phases
from kcnn.data import load
from kcnn.recipe import BUDGETS, Settings
from kcnn.recipe.settings import CHOICES

cli = pytest.importorskip("kcnn_cli", reason="the command needs `pip install -e .`")

STEPS = [
    "initial_loss",
    "small_sample",
    "learning_rates",
    "search",
    "refine",
    "curves",
]


def kcnn_command(*args):
    """Run the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(cli.main, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """One quick run on all the digits, shared by the tests here."""
    out = tmp_path_factory.mktemp("recipe") / "digits"
    result = kcnn_command("recipe", "--data", "digits", "--out", out, "--budget", "quick")
    return out, result, json.loads((out / "result.json").read_text())


def test_digits_end_at_97_percent_on_the_test_images(digits_run):
    _, result, record = digits_run
    assert result.exit_code == 0
    assert record["status"] == "finished"
    assert record["test"]["accuracy"] >= 0.97


def test_each_of_the_six_steps_says_what_it_found(digits_run):
    _, result, record = digits_run
    assert [s["name"] for s in record["steps"]] == STEPS
    for step in record["steps"]:
        assert step["findings"], step["name"]
        for finding in step["findings"]:
            first_words = " ".join(finding["seen"].split()[:3])
            assert first_words in result.stdout, finding


def test_the_initial_loss_is_near_log_of_the_classes(digits_run):
    step = digits_run[2]["steps"][0]["result"]
    assert step["expected"] == pytest.approx(math.log(10))
    assert step["loss"] == pytest.approx(math.log(10), rel=0.25)


def test_five_rates_are_tried_and_a_listed_one_is_picked(digits_run):
    step = digits_run[2]["steps"][2]["result"]
    assert [c["lr"] for c in step["curves"]] == [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]
    firsts = [c["losses"][0] for c in step["curves"]]
    np.testing.assert_allclose(firsts, firsts[0], rtol=1e-4)  # the same state, the same batch
    assert step["suggestion"] in {1e-1, 1e-2, 1e-3}


def test_the_search_varies_what_it_says(digits_run):
    step = digits_run[2]["steps"][3]["result"]
    assert len(step["trials"]) == BUDGETS["quick"].trials
    for name in ("learning_rate", "weight_decay"):
        assert len({t["hp"][name] for t in step["trials"]}) == len(step["trials"])
    assert len({t["hp"]["batch_size"] for t in step["trials"]}) > 1
    ended = [t for t in step["trials"] if t["state"] == "finished"]
    best = min(ended, key=lambda t: t["val_loss"])
    assert step["best"] == best["number"]


def test_the_saved_model_scores_as_the_record_says(digits_run):
    out, _, record = digits_run
    digits = load("digits", seed=0)
    model = keras.models.load_model(out / "model.keras")
    _, accuracy = model.evaluate(digits.test.x.astype("float32"), digits.test.y, verbose=0)
    assert accuracy == pytest.approx(record["test"]["accuracy"], abs=1e-6)
    confusion = np.array(record["test"]["confusion"])
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(digits.test.y))
    assert [list(row) for row in zip(confusion.sum(axis=1), np.diag(confusion), strict=True)] == (
        record["test"]["per_class"]
    )
    assert np.trace(confusion) / confusion.sum() == pytest.approx(accuracy, abs=1e-6)


SERVE_WITHOUT_KCNN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "kcnn":
            raise ImportError(name + " is not to be had here")
sys.meta_path.insert(0, Refuse())
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
x = np.load(sys.argv[2])
answer = served.signatures["serving_default"](tf.constant(x, tf.float32))
np.save(sys.argv[3], answer["probabilities"].numpy())
"""


def test_the_export_gives_the_same_probabilities_where_kcnn_is_not(digits_run, tmp_path):
    out = digits_run[0]
    digits = load("digits", seed=0)
    images = digits.test.x[:50]
    np.save(tmp_path / "x.npy", images)
    subprocess.run(
        [sys.executable, "-c", SERVE_WITHOUT_KCNN]
        + [str(out / "saved_model" / "1"), str(tmp_path / "x.npy"), str(tmp_path / "p.npy")],
        check=True,
        cwd=tmp_path,
    )
    served = np.load(tmp_path / "p.npy")
    logits = keras.models.load_model(out / "model.keras").predict(
        images.astype("float32"), verbose=0
    )
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(served, expected, atol=1e-5)
    names = (out / "saved_model" / "1" / "assets" / "class_names.txt").read_text().split()
    assert names == list(digits.class_names)


def test_a_finished_run_leaves_no_state_behind(digits_run):
    kept = {p.name for p in digits_run[0].iterdir()}
    assert {"result.json", "report.html", "model.keras", "saved_model"} <= kept
    assert "state" not in kept


def test_a_filled_folder_is_refused_and_a_finished_run_is_left_as_it_is(digits_run):
    out = digits_run[0]
    before = (out / "result.json").read_bytes()
    refused = kcnn_command("recipe", "--out", out, "--budget", "quick")
    assert refused.exit_code == 2
    assert "not empty" in refused.stderr
    again = kcnn_command("recipe", "--out", out, "--budget", "quick", "--resume")
    assert again.exit_code == 0
    assert "finished already" in " ".join(again.stdout.split())
    assert (out / "result.json").read_bytes() == before


def test_an_interrupted_run_keeps_what_it_had_and_goes_on(tmp_path, monkeypatch):
    """Ctrl-C in the middle of the search, then a full disk in the refinement, then the end."""
    npz = tmp_path / "few.npz"
    digits = load("digits", seed=0)
    np.savez(npz, x=digits.train.x[:300], y=digits.train.y[:300])
    args = ("recipe", "--data", npz, "--budget", "quick", "--out", tmp_path / "run")
    fit, write = kcnn.recipe.search_phases.fit, kcnn.recipe.checkpoint.write_arrays
    trials, writes = [], []

    def interrupted(*a, **k):
        trials.append("trial")
        if len(trials) == 3:
            raise KeyboardInterrupt
        return fit(*a, **k)

    def full_disk(path, arrays):
        writes.append(path)
        if len(writes) == 9:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, arrays)

    def record():
        return json.loads((tmp_path / "run" / "result.json").read_text())

    monkeypatch.setattr(kcnn.recipe.search_phases, "fit", interrupted)
    monkeypatch.setattr(kcnn.recipe.checkpoint, "write_arrays", full_disk)
    first = kcnn_command(*args)
    assert first.exit_code == 2
    assert "steps 1 to 3 are finished and kept" in first.stderr
    assert record()["status"] == "interrupted"

    second = kcnn_command(*args, "--resume")
    assert second.exit_code == 2
    assert "No space left on device" in second.stderr
    assert "make room, go on with --resume" in second.stderr
    assert second.stdout.count("kept from before") == 3
    assert len(trials) == 3 + BUDGETS["quick"].trials - 2  # two trials were kept
    assert [s["name"] for s in record()["steps"]] == STEPS[:4]

    third = kcnn_command(*args, "--resume")
    assert third.exit_code == 0, third.stderr
    assert third.stdout.count("kept from before") == 4
    assert record()["status"] == "finished"
    assert [s["name"] for s in record()["steps"]] == STEPS
    run = record()["steps"][4]["result"]["runs"][0]
    assert len(run["history"]["val_loss"]) == run["epochs"]  # no epoch lost or told twice


def three_widths(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Conv2D(8 * hp["width"], 3, strides=2, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "net.py"
    file.write_text("import keras\n\n\n" + inspect.getsource(three_widths) + SPACES)
    return file


SPACES = """

space = {"width": [1, 2, 3]}


def compiled(hp):
    model = three_widths(hp)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(hp["learning_rate"]), loss, metrics=["accuracy"])
    return model
"""


def test_a_compiled_model_of_ones_own_goes_through_all_steps(model_file, tmp_path):
    out = tmp_path / "run"
    result = kcnn_command(
        *("recipe", "--model", f"{model_file}:compiled", "--space", f"{model_file}:space"),
        *("--budget", "quick", "--search", "tpe", "--out", out),
    )
    assert result.exit_code == 0, result.output
    record = json.loads((out / "result.json").read_text())
    assert [s["name"] for s in record["steps"]] == STEPS
    trials = record["steps"][3]["result"]["trials"]
    assert len({t["hp"]["width"] for t in trials}) > 1
    rebuilt = keras.models.model_from_json(record["model"]["config"])
    saved = keras.models.load_model(out / "model.keras")
    rebuilt.set_weights(saved.get_weights())  # the record alone rebuilds the model
    assert isinstance(saved.optimizer, keras.optimizers.Adam)
    assert rebuilt.layers[2].filters == 8 * record["model"]["hp"]["width"]


def test_the_space_is_shown_as_toml(model_file):
    shown = kcnn_command(
        "recipe", "--show-space", "--model", f"{model_file}:three_widths",
        "--space", f"{model_file}:space",
    )  # fmt: skip
    assert shown.exit_code == 0
    assert "[width]\nchoices = [1, 2, 3]" in shown.stdout
    assert "[learning_rate]\naround = 5.0" in shown.stdout


BAD_SETTINGS = [
    (["--model", "resnet21"], "resnet20"),
    (["--model", "vgg16"], "8"),
    (["--data", "digitz"], "digits"),
    (["--data", "no/such/folder"], "no/such/folder"),
    (["--batch-size", "5000"], "5000"),
    (["--seed", "-1"], "seed"),
    (["--model", "nets.py:build"], "nets.py"),
    (["--model", "keras.applications.MobilNet"], "MobileNet"),
    (["--model", "keras.applications.MobileNet"], "--image-size"),
    (["--space", "none.toml"], "none.toml"),
    (["--optimizer", "adan"], "adam"),
    (["--time", "soon"], "20m"),
    (["--storage", "sqlite:////no/such/folder/x.db"], "--storage"),
]


@pytest.mark.parametrize(("args", "said"), BAD_SETTINGS)
def test_wrong_settings_are_one_clear_line(args, said, tmp_path):
    result = kcnn_command("recipe", "--out", tmp_path / "run", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3
    assert not (tmp_path / "run").exists()


def bad_arrays():
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype("float32")
    y = np.arange(40) % 4
    nan = x.copy()
    nan[7, 2, 2, 0] = np.nan
    infinite = x.copy()
    infinite[9] = np.inf
    return {
        "nan": (nan, y, "NaN"),
        "infinite": (infinite, y, "inf"),
        "float_labels": (x, y + 0.5, "label"),
        "negative": (x, y - 1, "label"),
        "lengths": (x, y[:30], "40"),
        "one_class": (x, y * 0, "class"),
        "missing_class": (x, np.where(y == 2, 3, y), "2"),
    }


@pytest.mark.parametrize("case", bad_arrays())
def test_bad_arrays_are_one_clear_line(case, tmp_path):
    x, y, said = bad_arrays()[case]
    np.savez(tmp_path / "bad.npz", x=x, y=y)
    result = kcnn_command("recipe", "--data", tmp_path / "bad.npz", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3


def test_the_options_of_the_command_are_those_of_the_recipe():
    options = {p.name: p for p in cli.main.commands["recipe"].params}
    for field, choices in CHOICES.items():
        assert tuple(options[field].type.choices) == tuple(choices)
    command = cli.main.commands["recipe"]
    context = command.make_context("recipe", [])
    for field, value in Settings().to_dict().items():
        assert context.params[field] == value, field


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from kcnn_cli import main\n"
        "try: main(['recipe', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'keras', 'tensorflow', 'numpy', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
