"""When is a trial's gain enough to name a cause?"""

from __future__ import annotations

import numpy as np

from kcnn.callbacks.doctor._setting import Outcome

__all__ = ["better", "convincing", "gain", "hopeless", "numbers"]


def gain(new: Outcome, old: Outcome) -> tuple[float, float]:
    """How much better: difference of scores, and ratio of what is missing to perfection.

    Below 0 nothing is won: to come from nonsense to a constant answer is not to learn.
    """
    after, before = max(new.score, 0.0), max(old.score, 0.0)
    d = after - before
    if np.isfinite(new.val):
        d = min(d, max(new.val, 0.0) - max(old.val, 0.0) + 0.05)
    return float(d), float((1.02 - before) / max(1.02 - after, 0.01))


def convincing(d: float, ratio: float, weight: float, before: float) -> bool:
    """Is a gain enough to name the cause?

    Something odd from the start (weight near 1) is named for a small gain; an ordinary
    setting only when the program does badly and another setting does far better.
    """
    if weight < 0.75:
        plain = weight < 0.6
        well = min(0.45 + 0.75 * weight, 0.72) if plain else 0.8
        if before >= well:  # it does fairly well: far better must be possible
            enough = d >= 0.15 and ratio >= 2.5 if plain else d >= 0.09 and ratio >= 1.9
            return enough and before < well + 0.13
    if before >= 0.7 and (d < 0.06 or ratio < 1.4):
        return False
    if weight < 0.5:
        return d >= 0.2 - 0.1 * weight and ratio >= 1.6
    return d >= 0.14 - 0.13 * weight and ratio >= 1.7 - 0.6 * weight


def hopeless(weight: float, before: float) -> bool:
    """Not even a perfect outcome would name the cause."""
    best = min(1.0 - before, 2.0), (1.02 - before) / 0.02
    return not convincing(*best, weight, before)


def better(new: Outcome, old: Outcome) -> bool:
    """A gain worth another step in the same direction."""
    d, ratio = gain(new, old)
    return d > 0.03 and ratio > 1.15


def numbers(out: Outcome) -> dict[str, float]:
    """An outcome as JSON numbers."""
    return {"train": out.train, "val": out.val, "balanced": out.balanced, "seconds": out.seconds}
