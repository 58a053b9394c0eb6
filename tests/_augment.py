"""What the tests of the augmentation layers share."""

import numpy as np
from scipy import stats

SIZE = (24, 20)


def noise(count, size=SIZE, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *size, channels)).astype(np.uint8)


def assert_uniform(values, low, high):
    assert values.min() >= low - 1e-3
    assert values.max() <= high + 1e-3
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3
