"""The doctor on JAX and PyTorch: what it finds, and that it says what it cannot see there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("doctor_backend_check.py")


@pytest.fixture(scope="module", params=["jax", "torch"])
def backend(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def answers(backend):
    done = subprocess.run(
        [sys.executable, SCRIPT], env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_healthy_program_is_not_called_complete_where_a_part_is_unseen(answers, backend):
    found = answers["healthy"]
    assert found["causes"] == []
    assert found["live"] == []
    assert found["unseen"] == [f"gradients of the layers: not read on {backend}"]


def test_a_rate_far_too_low_is_confirmed_by_a_trial(answers):
    assert answers["slow"]["causes"] == ["lr_too_low"]


def test_softmax_over_one_unit_is_proven(answers):
    assert answers["one_unit"]["causes"][0] == "wrong_output_activation"
    assert answers["one_unit"]["live"][0] == "wrong_output_activation"


def test_the_model_is_left_as_it_was(answers):
    assert all(found["untouched"] for found in answers.values())
