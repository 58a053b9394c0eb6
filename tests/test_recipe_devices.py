"""Precision, strategies and XLA in whole runs; what a run leaves for other tools."""

import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from rich.console import Console

import kcnn.recipe.logs
from kcnn.data import load
from kcnn.recipe import Display, RecipeError, Settings, run
from kcnn.recipe.clock import Clock, Pace
from kcnn.recipe.devices import strategy_of
from kcnn.recipe.logs import EpochLog, write_rows
from kcnn.recipe.schedule import WarmupCosine


def small_net(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 16)(inputs)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def whole_run(out, **settings):
    data = load("digits", max_images=300)
    display = Display(Console(quiet=True), log_json=out.parent / "events.json")
    options = {"budget": "quick", "augment": "none", "keep_going": True, **settings}
    return run(small_net, data, out=out, display=display, **options)


def assert_whole(out, record):
    assert record["status"] == "finished"
    saved = keras.models.load_model(out / "model.keras")
    rebuilt = keras.models.model_from_json(record["model"]["config"])
    rebuilt.set_weights(saved.get_weights())
    x = load("digits", max_images=300).test.x.astype("float32")
    for model in (saved, rebuilt):
        assert model.predict(x, verbose=0).shape == (len(x), 10)
    np.testing.assert_array_equal(saved.predict(x, verbose=0), rebuilt.predict(x, verbose=0))


TWO_CPUS = """
import sys, pathlib, tensorflow as tf
sys.path.insert(0, sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from test_recipe_devices import assert_whole, whole_run
out = pathlib.Path(sys.argv[2])
assert_whole(out, whole_run(out, strategy="mirrored:CPU:0,CPU:1"))
"""


def test_a_whole_run_on_two_devices(tmp_path):
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", TWO_CPUS, here, str(tmp_path / "run")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_whole_run_in_half_precision_compiled_by_xla_within_a_time(tmp_path):
    out = tmp_path / "run"
    record = whole_run(out, precision="mixed_bfloat16", jit="on", time=20)
    assert_whole(out, record)
    assert record["seconds"] < 60  # twenty, and what a busy machine takes for compiling
    trials = record["steps"][3]["result"]["trials"]
    with (out / "logs" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["updates"]) for r in rows] == [t["updates"] for t in trials]
    best = record["steps"][4]["result"]["runs"][0]
    with (out / "logs" / "refine-0.csv").open() as file:
        losses = [float(r["val_loss"]) for r in csv.DictReader(file)]
    np.testing.assert_allclose(losses, best["history"]["val_loss"])
    events = [json.loads(line) for line in (tmp_path / "events.json").read_text().splitlines()]
    assert {"step", "finding", "message"} <= {event["event"] for event in events}


def test_a_strategy_that_is_not_there_is_a_line_with_what_there_is():
    assert strategy_of(None) is None
    for name in ("GPU:7", "mirrored:GPU:7", "CPU:0,CPU:0", "tpu"):
        with pytest.raises(RecipeError, match=r"the devices here are .*CPU:0"):
            strategy_of(name)
    with pytest.raises(RecipeError, match="one of them"):
        Settings(jit="on", strategy="mirrored")


def test_each_epoch_is_in_the_csv_file_once_also_after_a_resumption(tmp_path):
    history = {"loss": [2.0, 1.0]}
    log = EpochLog(tmp_path, "refine-0", history)
    log.on_epoch_end(1, {"loss": 1.0})
    history["loss"].append(0.5)
    EpochLog(tmp_path, "refine-0", history).on_epoch_end(2, {"loss": 0.5})
    text = (tmp_path / "refine-0.csv").read_text().split()
    assert text == ["epoch,loss", "1,2.0", "2,1.0", "3,0.5"]
    write_rows(tmp_path / "rows.csv", [{"a": 1}, {"b": "x,y"}])
    assert (tmp_path / "rows.csv").read_text().split() == ["a,b", "1,", ',"x,y"']


@pytest.mark.parametrize("installed", [True, False])
def test_tensorboard_gets_the_epochs_where_it_is_installed(tmp_path, monkeypatch, installed):
    if installed:
        pytest.importorskip("tensorboard")
    else:
        monkeypatch.setattr(kcnn.recipe.logs, "TENSORBOARD", "no_such_package")
    EpochLog(tmp_path, "refine-0", {"loss": [2.0]}).on_epoch_end(0, {"loss": 2.0})
    assert len(list(tmp_path.rglob("events.*"))) == installed


def test_a_schedule_with_seconds_comes_to_zero_when_they_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(Clock, "now", staticmethod(lambda: now[0]))
    model = small_net({})
    model.compile(keras.optimizers.SGD(0.1), "mse")
    schedule = WarmupCosine(0.4, total=10, seconds=20.0)
    schedule.set_model(model)
    rates = []
    while not model.stop_training:
        schedule.on_train_batch_begin(0)
        rates.append(float(model.optimizer.learning_rate))
        now[0] += 4.0
        schedule.on_train_batch_end(0)
        assert len(rates) < 20
    # one batch that traces, then five of four seconds
    np.testing.assert_allclose(rates[2:], [0.2 * (1 + np.cos(np.pi * (i * 2 - 1) / 9)) for i in
                                           range(1, 5)], rtol=1e-5)  # fmt: skip
    assert schedule.ended


def test_the_pace_is_not_moved_by_tracing(monkeypatch):
    moments = iter([0.0, 30.0, 30.5, 31.0, 31.5])
    monkeypatch.setattr(Clock, "now", staticmethod(lambda: next(moments)))
    pace = Pace()
    assert pace.seconds is None
    tick = pace.ticks()
    for _ in range(5):
        tick()
    assert pace.seconds == 0.5
