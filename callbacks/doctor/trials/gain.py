"""What a trial wins, and how much it has to win."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from kcnn.callbacks.doctor.trials.measure import Outcome

__all__ = ["Gain", "convincing", "gain_of", "hopeless"]


class Bound(NamedTuple):
    """What a trial of a hypothesis of this prior has to win.

    Where the program does as well as `well`, far more must be possible (`well_gain`,
    `well_ratio`), and from `end` on nothing is named.
    """

    prior: float
    gain: float
    ratio: float
    well: float
    well_gain: float
    well_ratio: float
    end: float


BOUNDS = (
    Bound(0.75, 0.035, 1.2, 0.7, 0.06, 1.4, np.inf),  # odd: a small gain is enough
    Bound(0.6, 0.055, 1.3, 0.8, 0.09, 1.9, 0.93),
    Bound(0.5, 0.07, 1.4, 0.72, 0.15, 2.5, 0.85),
    Bound(0.0, 0.16, 1.6, 0.7, 0.15, 2.5, 0.7),  # ordinary: it does badly, and then far better
)


class Gain(NamedTuple):
    """What a change wins: difference of scores, and ratio of what is missing to perfection."""

    value: float
    ratio: float

    @property
    def helps(self) -> bool:
        """A gain worth another step in the same direction."""
        return self.value > 0.03 and self.ratio > 1.15


def gain_of(new: Outcome, old: Outcome) -> Gain:
    """How much better an outcome is.

    Below 0 nothing is won: to come from nonsense to a constant answer is not to learn.
    """
    after, before = max(new.score, 0.0), max(old.score, 0.0)
    d = after - before
    if np.isfinite(new.val):
        d = min(d, max(new.val, 0.0) - max(old.val, 0.0) + 0.05)
    return Gain(float(d), float((1.02 - before) / max(1.02 - after, 0.01)))


def convincing(gain: Gain, prior: float, before: float) -> bool:
    """Is a gain enough to name the cause, for a program that scores `before`?"""
    bound = next(one for one in BOUNDS if prior >= one.prior)
    if before < bound.well:
        return gain.value >= bound.gain and gain.ratio >= bound.ratio
    enough = gain.value >= bound.well_gain and gain.ratio >= bound.well_ratio
    return enough and before < bound.end


def hopeless(prior: float, before: float) -> bool:
    """Not even a perfect outcome would name the cause."""
    return not convincing(Gain(1.0 - before, (1.02 - before) / 0.02), prior, before)
