"""The instruments on two devices, and in two processes, say what they say on one."""

from pathlib import Path

import pytest
from distribute_tools import results

SCRIPT = Path(__file__).parent / "distribute_instruments.py"


@pytest.fixture(scope="module")
def one():
    (found,) = results(SCRIPT, 1, "one")
    return found


@pytest.mark.parametrize(
    ("kind", "processes"),
    [("devices", 1), pytest.param("processes", 2, marks=pytest.mark.slow)],
)
def test_several_replicas_say_what_one_device_says(one, kind, processes):
    for found in results(SCRIPT, processes, kind):
        for name in ("initial", "loss"):
            assert found[name] == pytest.approx(one[name], rel=1e-4), name
        for name in ("find_lr", "finder"):
            assert found[name] == pytest.approx(one[name], rel=0.05), name
        for name in ("small", "best", "doctor", "examine"):
            assert found[name] == one[name], name
