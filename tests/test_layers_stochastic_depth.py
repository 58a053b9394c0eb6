"""Stochastic depth, alone and in residual blocks."""

import numpy as np
import pytest
from layers_tools import draw

from kcnn.layers import BasicBlock, PreActBlock, StochasticDepth


def run(layer, *args, **kwargs):
    return np.asarray(layer(*args, **kwargs))


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    layer, x = StochasticDepth(0.25, seed=3), np.ones((4000, 2, 3), "float32")
    y = run(layer, x, training=True)
    kept = y[:, 0, 0] != 0
    assert np.array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert kept.mean() == pytest.approx(0.75, abs=0.03)
    np.testing.assert_allclose(y[kept], 4 / 3, rtol=1e-6)
    assert not np.array_equal(y, run(layer, x, training=True))
    assert np.array_equal(y, run(StochasticDepth(0.25, seed=3), x, training=True))
    assert np.array_equal(run(layer, x, training=False), x)


@pytest.mark.parametrize("cls", [BasicBlock, PreActBlock])
def test_drop_path_drops_the_residual_branch_alone(cls):
    x = np.abs(draw((400, 3, 3, 8)))
    block = cls(8, norm="group", drop_path=0.5, seed=1)
    whole, y = run(block, x, training=False), run(block, x, training=True)
    dropped = np.array([np.allclose(a, b, atol=1e-6) for a, b in zip(y, x, strict=True)])
    assert dropped.mean() == pytest.approx(0.5, abs=0.1)
    if cls is PreActBlock:
        np.testing.assert_allclose(y[~dropped], (x + 2 * (whole - x))[~dropped], atol=1e-4)
