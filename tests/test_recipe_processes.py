"""`kcnn recipe --processes`: workers of this machine join the search and none is left behind."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import click
import pytest
import tensorflow as tf
from click.testing import CliRunner
from rich.console import Console

from kcnn.recipe.local_workers import DisplayWithWorkers
from kcnn.recipe.steps.search import Search
from kcnn_cli.recipe import LEADERS, THIS_TIME, _words, recipe


def display(folder, code, processes=3):
    """A display whose workers run `code` instead of the command."""
    found = DisplayWithWorkers([sys.executable, "-c", code], processes, folder)
    found.console = Console(file=io.StringIO(), width=200)
    return found


def test_a_worker_gets_the_command_without_what_only_the_leader_does(tmp_path):
    given = ["--out", str(tmp_path), "--processes", "2", "--overwrite", "--seed", "3", "--augment"]
    with click.Context(recipe, info_name="recipe") as context:
        recipe.parse_args(context, [*given, "crop", "--deterministic", "--keep-going", "--no-flip"])
        words, again = _words(LEADERS), _words(THIS_TIME)
    pairs = " ".join(words)
    assert f"--out {tmp_path}" in pairs
    assert "--seed 3" in pairs
    assert "--augment crop" in pairs
    assert {"--deterministic", "--no-flip"} <= set(words)
    assert not {"--overwrite", "--keep-going", "--processes"} & set(words)
    assert not {"--overwrite", "--keep-going"} & set(again)  # what the record says
    assert "--processes 2" in " ".join(again)


def test_workers_start_with_the_search_and_a_failed_one_is_said(tmp_path):
    shown = display(tmp_path, "import sys; sys.exit('no such data')")
    with shown:
        shown.step(3, "Find a learning rate")
        assert not shown._workers
        shown.step(4, Search.title)
        for worker in shown._workers:
            worker.wait(30)
        shown.step(5, "Refine and train longer")
        shown.step(6, "Read the curves")
    said = shown.console.file.getvalue()
    assert said.count("Worker 1 ended with code 1: no such data") == 1
    assert "Worker 2 ended" in said


def test_gpus_that_were_given_are_shared_by_their_own_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one", "another"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *_: None)
    shown = display(tmp_path, "pass")
    given = [shown._devices(worker)["CUDA_VISIBLE_DEVICES"] for worker in (1, 2, 3)]
    assert given == ["5", "2", "5"]


def test_a_kept_search_starts_nobody(tmp_path):
    with display(tmp_path, "pass") as shown:
        shown.step(4, Search.title, kept=True)
        assert not shown._workers


def interrupted_search(shown):
    with shown:
        shown.step(4, Search.title)
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_no_worker(tmp_path):
    shown = display(tmp_path, "import time; time.sleep(600)")
    began = time.monotonic()
    with suppress(KeyboardInterrupt):
        interrupted_search(shown)
    assert time.monotonic() - began < 9
    for worker in shown._workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)


def test_processes_and_a_strategy_contradict_each_other(tmp_path):
    words = ["--out", str(tmp_path / "run"), "--processes", "2", "--strategy", "mirrored"]
    result = CliRunner().invoke(recipe, words)
    assert result.exit_code == 2
    assert "without --strategy" in result.output


@pytest.mark.slow
def test_two_processes_share_the_trials_of_one_search(tmp_path):
    out = tmp_path / "run"
    words = ["--out", str(out), "--budget", "quick", "--max-images", "400", "--processes", "2"]
    command = f"import sys; from kcnn_cli import main; main({['recipe', *words]!r})"
    subprocess.run([sys.executable, "-c", command], check=True, timeout=550)
    trials = json.loads((out / "result.json").read_text())["steps"][3]["result"]["trials"]
    assert [t["number"] for t in trials] == list(range(4))
    assert "The search has ended with 4 trials." in (out / "logs" / "worker-1.log").read_text()
