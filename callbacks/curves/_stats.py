"""Statistics of noisy training curves: noise, trend, valley."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Valley", "noise_level", "normal_cdf", "slope", "valley", "wander"]

WHOLE = 12  # values of a curve that is too short to be looked at in halves
LAGS = 3, 5  # steps, at least, and a share of the curve, after which noise has taken itself back


def noise_level(values: ArrayLike) -> float:
    """Standard deviation of independent noise on a smooth curve.

    Robust, from second differences, which a straight trend does not enter. 0 for fewer
    than 4 values.
    """
    values = np.asarray(values, "float64")
    if values.size < 4:
        return 0.0
    second = np.diff(values, 2)
    return float(np.median(np.abs(second)) / (0.6745 * math.sqrt(6)))


def wander(values: ArrayLike) -> float:
    """Standard deviation of one step of a curve that wanders without a trend.

    The long-run one (Newey & West 1987): noise that scatters a curve around its trend takes its
    steps back, and counts little. Of the calmer half: a rise that levels off is no walk.
    """
    values = np.asarray(values, "float64")
    half = len(values) // 2
    parts = [values] if len(values) < WHOLE else [values[: half + 1], values[half:]]
    return min(_long_run(part) for part in parts)


def _long_run(values: np.ndarray) -> float:
    steps = np.diff(values)
    steps = steps - steps.mean()
    lags, total = max(LAGS[0], len(steps) // LAGS[1]), float(steps @ steps)
    for lag in range(1, min(lags, len(steps) - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(steps[lag:] @ steps[:-lag])
    return math.sqrt(max(total, 0.0) / max(len(steps) - 1, 1))


def slope(values: ArrayLike, noise: float | None = None) -> tuple[float, float]:
    """Least-squares slope per step and its standard error."""
    values = np.asarray(values, "float64")
    if values.size < 3:
        return 0.0, math.inf
    x = np.arange(values.size) - (values.size - 1) / 2
    spread = float(x @ x)
    fit = float(x @ values) / spread
    rest = values - values.mean() - fit * x
    deviation = math.sqrt(float(rest @ rest) / (values.size - 2))
    return fit, max(deviation, noise or 0.0) / math.sqrt(spread)


@dataclasses.dataclass(frozen=True)
class Valley:
    """The lowest point of a curve that falls and then rises.

    Attributes:
        index: 0-based place of the lowest point of the fit.
        low: Level there, of the fit.
        rise: Level at the end above `low`.
        z: `rise` in its standard errors.
        noise: Standard deviation of one value around the curve.
        turn: Squared error, in squares of `noise`, that a curve which only falls has above
            the fit: says whether it rises anywhere after `low`, also if the end dips again.
    """

    index: int
    low: float
    rise: float
    z: float
    noise: float
    turn: float


def valley(values: ArrayLike) -> Valley:
    """Fit a falling, then rising curve (least squares, no shape assumed beyond that).

    Isotonic regression on both sides of every possible split; the best split wins. The
    fit is level around the lowest point: the place is the smallest value of a short
    moving average within that stretch.
    """
    values = np.asarray(values, "float64")
    n = values.size
    _, falls = _isotonic(-values)
    rises = _isotonic(-values[::-1])[1][::-1]
    cost = [(falls[i] + (rises[i + 1] if i + 1 < n else 0.0), i) for i in range(n)]
    least, split = min(cost)
    left, _ = _isotonic(-values[: split + 1])
    right, _ = _isotonic(values[split + 1 :])
    fit = np.concatenate([-left, right])
    low = float(fit.min())
    noise = max(noise_level(values), 1e-12)
    inside = np.flatnonzero(fit <= low + 0.5 * noise)
    half = 1 if n < 12 else 2
    window = np.full(2 * half + 1, 1 / (2 * half + 1))
    smooth = np.convolve(np.pad(values, half, mode="edge"), window, "valid")
    index = int(inside[np.argmin(smooth[inside])])
    last = max(1, min(3, n - 1 - index))
    end = float(np.mean(values[-last:])) if index < n - 1 else low
    around = values[max(0, index - 1) : index + 2]
    base = max(low, float(np.mean(around)))
    rise = end - base
    error = noise * math.sqrt(1 / last + 1 / around.size)
    turn = (falls[-1] - least) / noise**2
    return Valley(index, base, rise, rise / error, noise, turn)


def normal_cdf(z: float) -> float:
    """Probability that a standard normal number is below `z`."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _isotonic(values: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Non-decreasing least-squares fit (pool adjacent violators).

    And the squared error of the fit of values[:i + 1], for every i.
    """
    blocks: list[list[float]] = []
    errors, total = [], 0.0
    for value in values:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            total += _merge(blocks)
        errors.append(total)
    means, counts = np.array(blocks).reshape(-1, 2).T
    return np.repeat(means, counts.astype(int)), errors


def _merge(blocks: list[list[float]]) -> float:
    """Pool the last two blocks; the squared error it adds."""
    mean, count = blocks.pop()
    other, number = blocks[-1]
    blocks[-1] = [(other * number + mean * count) / (number + count), number + count]
    return (other - mean) ** 2 * number * count / (number + count)
