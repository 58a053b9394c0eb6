"""Ten million images: one pass, in memory that does not grow with them, exact."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from kcnn.data import channel_stats

IMAGES, BATCH, SHAPE = 10_000_000, 10_000, (4, 4, 3)
MEMORY = 64 << 20  # bytes; all the images together are 480 MB


def batches():
    """Each is another picture of the same noise: every byte of it turned by the batch's number."""
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE), dtype=np.uint8)
    noise[..., 1] //= 2
    for number in range(IMAGES // BATCH):
        yield noise ^ np.uint8(number % 251)


def exact():
    """Mean and variance by whole numbers: how often each value is in each channel."""
    counts = np.zeros((SHAPE[-1], 256), np.int64)
    for x in batches():
        for channel, count in enumerate(counts):
            count += np.bincount(x[..., channel].ravel(), minlength=256)
    for count in counts.tolist():
        total = sum(count)
        mean = Fraction(sum(v * n for v, n in enumerate(count)), total)
        square = Fraction(sum(v * v * n for v, n in enumerate(count)), total)
        yield float(mean), float(square - mean**2)


@pytest.mark.slow
def test_statistics_of_ten_million_images_are_exact_in_bounded_memory():
    tracemalloc.start()
    stats = channel_stats(batches())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY
    mean, variance = zip(*exact(), strict=True)
    np.testing.assert_allclose(stats.mean, mean, rtol=1e-14)
    np.testing.assert_allclose(stats.variance, variance, rtol=1e-13)
    assert stats.count == IMAGES * SHAPE[0] * SHAPE[1]
