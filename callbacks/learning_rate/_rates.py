"""Judge the loss curves of short trainings at different learning rates."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kcnn.callbacks._finding import Finding, Record

__all__ = [
    "VERDICTS", "RateCurve", "choose", "judge_rates", "noise_of", "shown_again", "start_of",
]  # fmt: skip

VERDICTS = ("diverged", "no progress", "slow", "clear and stable", "unstable")
SLOW = 0.4  # of the best rate's decrease
SPIKE = 0.3  # of the decrease so far, above the best mean loss reached


@dataclasses.dataclass(frozen=True)
class RateCurve(Record):
    """Batch losses at one learning rate, and what they say.

    `verdict` is one of "diverged", "no progress", "slow", "clear and stable", "unstable".

    >>> curves = judge_rates([0.1, 1e-5], [[2.3 - 0.1 * i for i in range(20)], [2.3] * 20])
    >>> [curve.verdict for curve in curves]
    ['clear and stable', 'no progress']
    """

    lr: float
    losses: tuple[float, ...]
    verdict: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Shape:
    """A loss curve in a few numbers, all in the loss's unit."""

    start: float
    spread: float  # batches behind `start`, inverted: 1 for a single one
    end: float
    best: float
    noise: float  # standard deviation of one batch's loss around the trend
    worst_late: float

    @property
    def drop(self) -> float:
        return self.start - self.end


def judge_rates(rates: Sequence[float], losses: Sequence[Sequence[float]]) -> tuple[RateCurve, ...]:
    """A verdict for each rate; "slow" is relative to the best of them.

    Args:
        rates: Learning rates.
        losses: For each rate its batch losses, all from the same start.
    """
    start, spread = _common_start(rates, losses)
    shapes = [_shape(curve, start, spread) for curve in losses]
    drops = [s.drop for s in shapes if s is not None and math.isfinite(s.drop)]
    best_drop = max(drops, default=0.0)
    return tuple(
        RateCurve(float(rate), tuple(float(v) for v in curve), *_verdict(curve, shape, best_drop))
        for rate, curve, shape in zip(rates, losses, shapes, strict=True)
    )


def choose(curves: Sequence[RateCurve]) -> tuple[float | None, Finding]:
    """The rate with the clear, stable decrease that gets furthest, and a finding on it.

    Without any clear and stable rate: the best of the slow, then of the unstable ones
    (a warning); with nothing but divergence and standstill: None (a failure).
    """
    evidence = {"rates": [c.lr for c in curves], "verdicts": [c.verdict for c in curves]}
    expected = "one rate at least with a clear, stable decrease"

    def found(severity, seen, advice="", cause=None):
        return Finding("learning_rates", severity, seen, expected, advice, cause, None, evidence)

    for verdict in ("clear and stable", "slow", "unstable"):
        fit = [curve for curve in curves if curve.verdict == verdict]
        if not fit:
            continue
        best = min(fit, key=lambda curve: _tail(curve.losses))
        evidence["suggestion"] = best.lr
        seen = f"learning rate {best.lr:g}: {best.reason}"
        if verdict == "clear and stable":
            return best.lr, found("ok", seen)
        advice = "Try rates between and beyond those swept, and a warmup."
        return best.lr, found("warning", f"{seen} ({verdict})", advice)
    if all(curve.verdict == "diverged" for curve in curves):
        if any(curve.losses and not math.isfinite(curve.losses[0]) for curve in curves):
            return None, found(
                "failure",
                "the loss is not finite from the first batch on, at every rate",
                "No learning rate is to blame: look for NaN in inputs, labels and weights.",
                "nan_inputs",
            )
        advice = "Sweep smaller rates; check that the inputs are normalized."
        return None, found("failure", "every rate diverged", advice, "lr_too_high")
    return None, found(
        "failure",
        "no rate makes progress",
        "Sweep other rates. If none helps, check labels, loss and frozen layers: first fit a "
        "small sample.",
    )


def shown_again(check: str) -> Finding:
    """A note for data that are over before the test is."""
    seen = "the data have fewer batches than the test has steps: they were repeated, shown again"
    return Finding(check, "note", seen, "a different batch for every step")


def start_of(losses: Iterable[Sequence[float]]) -> float:
    """Loss before any update: the median of the curves' first losses; NaN if none is finite."""
    first = [curve[0] for curve in losses if len(curve) and math.isfinite(curve[0])]
    return float(np.median(first)) if first else math.nan


def noise_of(losses: ArrayLike) -> float:
    """Standard deviation of batch losses around their trend (robust; from differences)."""
    steps = np.abs(np.diff(np.asarray(losses, "float64")))
    return float(np.median(steps) / (0.6745 * math.sqrt(2))) if steps.size else 0.0


def _common_start(rates: Sequence[float], losses: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Loss before any update, and the inverse of the number of batches it was measured on.

    The first batch is the same for all rates but for randomness; the smallest rate gives
    more of them where its curve stays level.
    """
    start = start_of(losses)
    if not len(losses):
        return start, 1.0
    slowest = losses[int(np.argmin(rates))]
    window = _window(slowest)
    head = float(np.mean(slowest[:window])) if len(slowest) else math.nan
    error = noise_of(slowest) * math.sqrt(2 / window)
    level = len(slowest) >= 2 * window and abs(head - _tail(slowest)) <= 3 * error
    return (head, 1 / window) if level and math.isfinite(head) else (start, 1.0)


def _window(losses: Sequence[float]) -> int:
    return max(3, len(losses) // 5)


def _tail(losses: Sequence[float]) -> float:
    return float(np.mean(losses[-_window(losses) :]))


def _shape(losses: Sequence[float], start: float, spread: float) -> Shape | None:
    values = np.asarray(losses, "float64")
    if values.size < 3 or not np.all(np.isfinite(values)):
        return None
    window = _window(losses)
    means = np.convolve(values, np.ones(window) / window, "valid")
    late = values[len(values) // 3 :]
    end, best, worst_late = float(means[-1]), float(means.min()), float(np.max(late))
    return Shape(start, spread, end, best, noise_of(values), worst_late)


def _verdict(losses: Sequence[float], shape: Shape | None, best_drop: float) -> tuple[str, str]:
    if shape is None:
        step = next((i for i, v in enumerate(losses) if not math.isfinite(v)), None)
        if step is None:
            return "diverged", f"ended after {len(losses)} iterations"
        return "diverged", f"the loss is {losses[step]} at iteration {step + 1}"
    told = f"loss {shape.start:.3g} to {shape.end:.3g}"
    window = _window(losses)
    error = shape.noise * math.sqrt(shape.spread + 1 / window)  # of `drop`
    if shape.drop < -max(3 * error, 0.1 * abs(shape.start)):
        return "diverged", f"{told}: rising"
    if shape.drop < max(1.5 * error, 0.02 * abs(shape.start)):
        return "no progress", f"{told}: within the noise of {shape.noise:.2g}"
    rebound = shape.end - shape.best
    reached = shape.start - shape.best
    if rebound > max(SPIKE * reached, 3 * shape.noise / math.sqrt(window)):
        return "unstable", f"{told}, up again from {shape.best:.3g}"
    if shape.worst_late > shape.start + max(4 * shape.noise, SPIKE * reached):
        return "unstable", f"{told} with spikes up to {shape.worst_late:.3g}"
    if shape.drop < SLOW * best_drop:
        return "slow", f"{told}: {shape.drop / best_drop:.0%} of the best rate's decrease"
    return "clear and stable", told
