"""Several real processes, and several devices of one, against one that sees every batch whole."""

from pathlib import Path

import numpy as np
import pytest
from distribute_tools import results

SCRIPT = Path(__file__).parent / "distribute_script.py"
CLOSE = 1e-5  # float32 sums in another order
QUICK = ("one left", "callbacks")
ALL = ("even", "uneven", "weighted", "data set", "parts", *QUICK)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    (found,) = results(SCRIPT, 1, tmp_path_factory.mktemp("quick"), *QUICK)
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    (found,) = results(SCRIPT, 1, tmp_path_factory.mktemp("everything"), *ALL)
    return found


def assert_same(one, other):
    """Numbers of two nested results."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif one and isinstance(one, list) and isinstance(one[0], list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        np.testing.assert_allclose(other, one, atol=CLOSE, rtol=CLOSE)


def check(alone, count, folder, **environment):
    workers = results(SCRIPT, count, folder, *alone, **environment)
    for worker in workers:
        for case, one in alone.items():
            other = worker[case]
            # The loss so far is a mean over replicas, of which the last batch gives some less.
            so_far = one.pop("batches"), other.pop("batches")
            np.testing.assert_allclose(*so_far, atol=1e-3, rtol=1e-3)
            assert_same(one, other)
            one["batches"] = so_far[0]
    assert sorted(p.name for p in folder.iterdir()) == ["written-by-0.csv", "written-by-0.keras"]


def test_two_processes_train_as_one(quick, tmp_path):
    check(quick, 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_train_as_one_in_every_case(everything, tmp_path, count):
    check(everything, count, tmp_path)


@pytest.mark.slow
def test_two_devices_of_one_process_train_as_one(everything, tmp_path):
    check(everything, 1, tmp_path, KCNN_TEST_DEVICES="2")
