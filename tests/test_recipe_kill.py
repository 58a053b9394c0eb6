"""Real processes, killed at moments drawn at random; what they end with in the end."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from kcnn.data import load
from kcnn.recipe import Display, run

IMAGES = 240
STEPS = 6


def small_net(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Conv2D(hp["filters"], 3, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def work(out, resume):
    """One sitting of a run, in a process of its own."""
    from rich.console import Console

    display = Display(Console(quiet=True), log_json=out.parent / f"{out.name}.log")
    digits = load("digits", max_images=IMAGES)
    run(
        small_net,
        digits,
        out=out,
        space={"filters": [4, 8]},
        budget="quick",
        augment="crop",
        deterministic=True,
        resume=resume,
        display=display,
    )


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "kcnn.recipe", "kcnn.augment", "optuna"])
    return context


def begin(processes, out, *, resume):
    process = processes.Process(target=work, args=(out, resume))
    process.start()
    return process


def reached(out):
    """How many steps are on record."""
    try:
        return len(json.loads((out / "result.json").read_text())["steps"])
    except (OSError, ValueError):
        return 0


@pytest.fixture(scope="module")
def undisturbed(processes, tmp_path_factory):
    """A run that nobody killed, and the seconds it took."""
    out = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    process = begin(processes, out, resume=False)
    process.join(300)
    assert process.exitcode == 0
    return out, time.monotonic() - began


def plain(value):
    """Without what a clock tells."""
    if isinstance(value, dict):
        left = ("seconds", "seconds_per_update", "started", "time", "id")
        return {k: plain(v) for k, v in value.items() if k not in left}
    return [plain(v) for v in value] if isinstance(value, list) else value


def assert_same_end(a, b):
    first, second = (json.loads((out / "result.json").read_text()) for out in (a, b))
    for one, two in zip(first["steps"], second["steps"], strict=True):
        assert plain(one) == plain(two), one["name"]
    assert plain(first) == plain(second)
    weights = [keras.models.load_model(out / "model.keras").get_weights() for out in (a, b)]
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)


def kill_again_and_again(processes, out, moments):
    """A sitting for each moment (seconds from its start), then one to the end; steps reached."""
    seen = []
    for moment in moments:
        process = begin(processes, out, resume=bool(seen))
        process.join(moment)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        seen.append(reached(out))
    process = begin(processes, out, resume=True)
    process.join(300)
    assert process.exitcode == 0
    return seen


def test_a_run_killed_three_times_ends_as_one_that_was_not(processes, undisturbed, tmp_path):
    whole, seconds = undisturbed
    moments = np.random.default_rng(0).uniform(0.3, 0.7, 3) * seconds
    kill_again_and_again(processes, tmp_path / "run", moments)
    assert_same_end(whole, tmp_path / "run")


@pytest.mark.slow
def test_twenty_kills_over_all_steps_change_nothing(processes, undisturbed, tmp_path):
    whole, seconds = undisturbed
    rng = np.random.default_rng(1)
    for attempt in range(4):
        moments = rng.uniform(0.02, 0.95, 5) * seconds
        out = tmp_path / f"run-{attempt}"
        kill_again_and_again(processes, out, moments)
        assert_same_end(whole, out)


ENDED = """
import signal, sys
from kcnn_cli import main
main(sys.argv[1:])
"""


def test_sigterm_keeps_what_was_done_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-c", ENDED, "recipe", "--max-images", str(IMAGES)]
    command += ["--budget", "quick", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while reached(out) < 1 and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"finished and kept" in errors
    assert b"--resume" in errors
    assert json.loads((out / "result.json").read_text())["status"] == "interrupted"
    assert (out / "report.html").exists()
