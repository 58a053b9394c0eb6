"""Where findings go, and which of them a project wants."""

import json
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn.callbacks import (
    Finding,
    InitialLossCheck,
    JsonLinesSink,
    MLflowSink,
    TensorBoardSink,
    WandbSink,
    all_sinks,
    assert_trains,
    print_sink,
)
from kcnn.callbacks._settings import Settings, read_settings

LOSS = Finding("loss", "failure", "the loss is nan", "a number", "Look.", "nan_inputs", "x")
RNG = np.random.default_rng(2)
Y = RNG.integers(0, 3, 200)
X = (RNG.normal(size=(200, 5)) + 3 * np.eye(5)[Y]).astype("float32")


def net(units=3, rate=0.02):
    layers = [keras.Input((5,)), keras.layers.Dense(8, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(units, "softmax")])
    loss = "sparse_categorical_crossentropy" if units > 1 else "binary_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def test_a_finding_has_an_id_and_says_when_it_was_told():
    assert LOSS.id == "loss/nan_inputs"
    assert Finding("plateau", "note", "level", "").id == "plateau"
    assert LOSS.named(["nan_inputs"])
    assert LOSS.named(["loss"])
    assert LOSS.named(["loss/nan_inputs"])
    assert not LOSS.named(["nan"])
    told = LOSS.now(epoch=3, step=120)
    assert (told.epoch, told.step) == (3, 120)
    assert told.time > 1.6e9
    assert told.now(epoch=4).epoch == 3
    assert Finding.from_dict(json.loads(json.dumps(told.to_dict()))) == told


def test_json_lines_hold_every_finding(tmp_path):
    sink = JsonLinesSink(tmp_path / "deep" / "findings.jsonl")
    heard = []
    model = net()
    model.fit(X, Y, verbose=0, callbacks=[InitialLossCheck(sink=all_sinks(sink, heard.append))])
    sink(LOSS.now(step=7))
    lines = sink.path.read_text().splitlines()
    first, second = (Finding.from_dict(json.loads(line)) for line in lines)
    assert first == heard[0]
    assert (first.step, second.step, json.loads(lines[1])["id"]) == (1, 7, "loss/nan_inputs")


def test_tensorboard_gets_text_at_its_step(tmp_path):
    TensorBoardSink(tmp_path)(LOSS.now(step=7))
    (file,) = tmp_path.glob("*.kcnn")
    events = [
        event for event in tf.compat.v1.train.summary_iterator(str(file)) if event.summary.value
    ]
    (value,) = events[0].summary.value
    assert (events[0].step, value.tag) == (7, "findings/loss/nan_inputs")
    assert value.metadata.plugin_data.plugin_name == "text"
    assert "the loss is nan" in tf.make_ndarray(value.tensor)[0].decode()


def test_mlflow_gets_tags_and_one_artifact(monkeypatch):
    tags, files = {}, {}
    client = types.SimpleNamespace(
        set_tag=lambda run, key, value: tags.__setitem__((run, key), value),
        log_dict=lambda run, data, path: files.__setitem__((run, path), data),
    )
    run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))
    module = types.SimpleNamespace(MlflowClient=lambda: client, active_run=lambda: run)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    sink = MLflowSink()
    sink(LOSS)
    sink(Finding("plateau", "note", "level", ""))
    assert tags == {("r1", "kcnn.loss/nan_inputs"): "failure", ("r1", "kcnn.plateau"): "note"}
    told = files["r1", "kcnn/findings.json"]["findings"]
    assert [one["check"] for one in told] == ["loss", "plateau"]


def test_wandb_gets_a_curve_and_words():
    logged = []
    run = types.SimpleNamespace(log=lambda data, commit: logged.append(data), summary={})
    WandbSink(run)(LOSS)
    assert logged == [{"kcnn/loss/nan_inputs": 3}]
    assert "the loss is nan" in run.summary["kcnn/loss/nan_inputs/says"]


def test_settings_come_from_the_nearest_project_file(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.kcnn]\nignore = ["class_balance"]\nfail-on = "warning"\n'
        "[tool.kcnn.parameters.input_scale]\nsize = 20\n"
    )
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    found = read_settings(deep)
    assert found.chosen == {
        "ignore": ("class_balance",),
        "parameters": {"input_scale": {"size": 20}},
    }
    assert found.fails("warning")
    assert not found.over(fail_on="failure").fails("warning")
    assert found.over(ignore=[]).ignore == ()
    (deep / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert read_settings(deep) == Settings()


@pytest.mark.parametrize(
    ("line", "words"),
    [("slect = []", "'slect'"), ("select = 3", "list of names"), ("fail-on = 'note'", "'note'"),
     ("parameters = 1", "tables"), ("select = [", "not a TOML file")],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(tmp_path, line, words):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kcnn]\n{line}\n")
    with pytest.raises(ValueError, match=words):
        read_settings(tmp_path)


def test_assert_trains_passes_what_trains_and_raises_with_the_findings():
    assert assert_trains(net(), X, Y, epochs=12).healthy
    with pytest.raises(AssertionError, match=r"does not train(.|\n)*wrong_output|does not train"):
        assert_trains(net(units=1), X, (Y > 0).astype("float32"), epochs=2, fast=True)


def test_print_sink_says_where(capsys):
    print_sink(LOSS)
    assert "nan" in capsys.readouterr().out
