"""The layers on JAX and torch, where these are installed, each in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run_on(backend, *what):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; `make test-backends` installs it")
    places = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
    }
    command = [sys.executable, str(HERE / "layers_backend_check.py"), backend, *what]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip().endswith(f"all of {backend}"), done.stderr[-3000:]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_norms_on_another_backend(backend):
    run_on(backend, "norms")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layers_on_another_backend(backend):
    run_on(backend)
