"""Learning rates suggested by one range test, each by a rule with a name and a reason."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kcnn.callbacks._rates import noise_of

__all__ = ["Suggestion", "longest_fall", "smoothed", "suggestions"]


# Tuned on half of the tasks of benchmarks/lr_suggestion.py, with the smoothing of 0.9: 5 gives
# more dead ends, 8 trains more slowly; smoothing of 0.88 to 0.92 does as well.
BELOW_LOWEST = 6.0


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


def suggestions(rates: ArrayLike, losses: ArrayLike) -> tuple[Suggestion, ...]:
    """What each rule says; none where the losses never fall clearly.

    Args:
        rates: Learning rate of each step, rising.
        losses: Each step's own batch loss, finite.
    """
    rate, loss = np.asarray(rates, "float64"), smoothed(losses)
    if len(loss) < 10:
        return ()
    if not falls_clearly(losses):
        return ()
    found = [_steepest(rate, loss), _minimum(rate, loss), _valley(rate, loss)]
    found.append(_kcnn(rate, loss))
    return tuple(s for s in found if s is not None)


def falls_clearly(losses: ArrayLike) -> bool:
    """Whether the losses fall by more than noise makes the lowest mean of a window lower."""
    values = np.asarray(losses, "float64")
    window = max(3, len(values) // 10)
    means = np.convolve(values, np.ones(window) / window, "valid")
    start = float(np.mean(values[: max(window, len(values) // 4)]))
    error = noise_of(values) / np.sqrt(window)
    return start - float(means.min()) > max(4 * error, 0.01 * abs(start))


def _kcnn(rate: np.ndarray, loss: np.ndarray) -> Suggestion:
    low = int(np.argmin(loss))
    return Suggestion(
        "kcnn",
        float(rate[low]) / BELOW_LOWEST,
        f"a sixth of {rate[low]:.2g}, where the smoothed loss is lowest ({loss[low]:.3g})",
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
