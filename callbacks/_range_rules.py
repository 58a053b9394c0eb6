"""Learning rates suggested by one range test, each by a rule with a name and a reason."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kcnn.callbacks._rates import noise_of

__all__ = ["Suggestion", "centered", "longest_fall", "smoothed", "suggestions"]


# Tuned on the tuning tasks of benchmarks/lr_suggestion.py, nine range tests each. Where the
# loss is lowest says little: it depends on the noise, and a fast sweep outruns divergence.
# Where the loss leaves its first level for good is steadier.
BELOW = 10.0  # the suggestion lies so far below
EDGE_SHARE = 0.8  # weight of the edge, in the logarithm, against the end of the fall
FALLEN = 0.9  # of the fall
NOISES = 3.0  # above the first level is out


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A learning rate, the name of the rule that gives it, and the rule's reason."""

    name: str
    lr: float
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return dataclasses.asdict(self)


def smoothed(losses: ArrayLike, momentum: float = 0.9) -> np.ndarray:
    """Exponential moving average without the bias towards 0 at the start. float64."""
    average, out = 0.0, []
    for i, loss in enumerate(np.asarray(losses, "float64")):
        average = momentum * average + (1 - momentum) * loss
        out.append(average / (1 - momentum ** (i + 1)))
    return np.asarray(out)


def centered(losses: ArrayLike, spread: float = 2.0) -> np.ndarray:
    """Mean of the neighbours on both sides (Gaussian weights): no lag. float64."""
    values = np.asarray(losses, "float64")
    reach = int(3 * spread)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    inside = slice(reach, reach + len(values))
    weights = np.convolve(np.ones(len(values)), window)[inside]
    return np.convolve(values, window)[inside] / weights


def suggestions(
    rates: ArrayLike, losses: ArrayLike, *, ended: bool = False
) -> tuple[Suggestion, ...]:
    """What each rule says.

    Where the losses never fall clearly only "kcnn" may say something: from where they
    break out, or grow restless, if they do.

    Args:
        rates: Learning rate of each step, rising.
        losses: Each step's own batch loss, finite.
        ended: Whether the next loss was not finite.
    """
    rate, raw = np.asarray(rates, "float64"), np.asarray(losses, "float64")
    if len(raw) < 10:
        return ()
    edge = _edge(raw)
    if not falls_clearly(losses):
        if edge == len(raw) and not ended and not _restless(raw):
            return ()
        at = float(rate[min(edge, len(raw) - 1)])
        reason = f"a tenth of {at:.2g}, up to which the loss neither falls clearly nor breaks out"
        return (Suggestion("kcnn", at / BELOW, reason),)
    loss = smoothed(raw)
    found = [_steepest(rate, loss), _minimum(rate, loss), _valley(rate, loss)]
    found.append(_kcnn(rate, raw, edge))
    return tuple(s for s in found if s is not None)


def falls_clearly(losses: ArrayLike) -> bool:
    """Whether the losses fall by more than noise makes the lowest mean of a window lower."""
    values = np.asarray(losses, "float64")
    window = max(3, len(values) // 10)
    means = np.convolve(values, np.ones(window) / window, "valid")
    start = float(np.mean(values[: max(window, len(values) // 4)]))
    error = noise_of(values) / np.sqrt(window)
    return start - float(means.min()) > max(4 * error, 0.01 * abs(start))


def _level(raw: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the losses in the first fifth (at least the rounding's)."""
    head = raw[: max(5, len(raw) // 5)]
    level = float(np.mean(head))
    return level, max(float(np.std(head)), 3e-4 * abs(level))


def _edge(raw: np.ndarray) -> int:
    """First step from which the loss stays above its first level; all steps if it never does."""
    level, noise = _level(raw)
    inside = np.flatnonzero(centered(raw) <= level + NOISES * noise)
    return int(inside[-1]) + 1 if inside.size else 0


def _restless(raw: np.ndarray) -> bool:
    """Whether the last tenth scatters far more than the first fifth: the steps do something."""
    last = raw[-max(5, len(raw) // 10) :]
    return float(np.std(last)) > 2.5 * _level(raw)[1] > 0


def _kcnn(rate: np.ndarray, raw: np.ndarray, edge: int) -> Suggestion:
    loss, (level, _) = centered(raw), _level(raw)
    fallen = int(np.argmax(loss <= level - FALLEN * (level - loss.min())))
    out, low = float(rate[min(edge, len(rate) - 1)]), float(rate[fallen])
    between = out**EDGE_SHARE * low ** (1 - EDGE_SHARE)
    breaks = f"{out:.2g}, where the loss breaks out"
    if edge == len(rate):
        breaks = f"{out:.2g}, the last (the loss does not break out)"
    return Suggestion(
        "kcnn",
        between / BELOW,
        f"a tenth of {between:.2g}, between {low:.2g}, where it has fallen by nine tenths, "
        f"and {breaks}",
    )


def _steepest(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    grad = np.gradient(loss, np.log10(rate))
    low = int(np.argmin(loss))
    if low < 2:
        return None
    at = int(np.argmin(grad[:low]))
    if grad[at] >= 0:
        return None
    return Suggestion(
        "steepest",
        float(rate[at]),
        f"the smoothed loss falls fastest here: {-grad[at]:.2g} per factor of 10",
    )


def _minimum(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    low = int(np.argmin(loss))
    if low < 2:
        return None
    return Suggestion(
        "minimum/10",
        float(rate[low]) / 10,
        f"a tenth of {rate[low]:.2g}, where the smoothed loss is lowest ({loss[low]:.3g})",
    )


def _valley(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    start, end = longest_fall(loss)
    if end - start < 3:
        return None
    at = (start + end) // 2
    return Suggestion(
        "valley",
        float(rate[at]),
        f"the middle of the longest fall, {rate[start]:.2g} to {rate[end]:.2g}",
    )


def longest_fall(loss: ArrayLike) -> tuple[int, int]:
    """First and last index of the longest falling subsequence (the earliest of the longest)."""
    loss = np.asarray(loss, "float64")
    length = np.ones(len(loss), int)
    previous = np.full(len(loss), -1)
    for i in range(1, len(loss)):
        higher = np.flatnonzero(loss[:i] > loss[i])
        if higher.size:
            best = higher[np.argmax(length[higher])]
            length[i], previous[i] = length[best] + 1, best
    end = start = int(np.argmax(length))
    while previous[start] >= 0:
        start = int(previous[start])
    return start, end
