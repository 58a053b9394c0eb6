"""The plan of `find_lr`: which rates, how long each, who goes on, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kcnn.callbacks._curve_stats import normal_cdf
from kcnn.callbacks._finding import Finding
from kcnn.callbacks._optimizer import steps_per_update
from kcnn.callbacks._rates import noise_of
from kcnn.callbacks._snapshot import require_compiled

if TYPE_CHECKING:
    from kcnn.callbacks.find_lr import FoundRate

__all__ = ["LADDER", "Plan", "Standing", "judge_ladder", "plan_of", "score"]

LADDER = tuple(float(10.0**e) for e in np.arange(-5.0, 1.1, 0.5))  # 1e-5 ... 10, half decades
ENDS = (16, 32, 64, 122)  # iterations after which fewer go on
KEEP = (5, 3, 2, 0)  # how many: 16 * 13 + 16 * 5 + 32 * 3 + 58 * 2 = 500 iterations


@dataclasses.dataclass(frozen=True)
class Plan:
    """Rates, the iterations at which each rung ends, and how many go on after it."""

    rates: tuple[float, ...]
    ends: tuple[int, ...]
    keep: tuple[int, ...]

    @property
    def longest(self) -> int:
        return self.ends[-1]


@dataclasses.dataclass
class Standing:
    """One rate on its way up: its losses so far and, while it waits, its saved state."""

    rate: float
    losses: list[float]
    saved: Any


def plan_of(rates: Sequence[float], iterations: int, model: keras.Model) -> Plan:
    """A plan that takes at most `iterations` steps."""
    require_compiled(model, "find_lr")
    rates = tuple(float(rate) for rate in rates)
    if len(rates) < 2 or any(not rate > 0 for rate in rates) or list(rates) != sorted(set(rates)):
        raise ValueError(
            f"find_lr: rates must be two or more positive, rising numbers; received {rates}."
        )
    if iterations < 50:
        raise ValueError(f"find_lr: iterations must be 50 or more; received {iterations}.")
    group = steps_per_update(model)
    alive = (len(rates), *KEEP[:-1])
    begins = (0, *ENDS[:-1])
    cost = sum(n * (end - begin) for n, begin, end in zip(alive, begins, ENDS, strict=True))
    share = min(1.0, iterations / cost)
    ends: list[int] = []
    for end in ENDS:
        whole = int(end * share) // group * group  # rounded down: never above `iterations`
        ends.append(max(whole, (ends[-1] if ends else 0) + group))
    return Plan(rates, tuple(ends), KEEP)


def score(losses: Sequence[float]) -> float:
    """Mean of the latest eighth of the losses (3 at least); infinity after divergence."""
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return math.inf
    return float(np.mean(losses[-max(3, len(losses) // 8) :]))


def judge_ladder(standings: Sequence[Standing], *, repeated: bool) -> FoundRate:
    """Pick a rate, say why and how sure that is."""
    from kcnn.callbacks.find_lr import FoundRate

    first = [s.losses[0] for s in standings if s.losses and math.isfinite(s.losses[0])]
    start = float(np.median(first)) if first else math.nan
    longest = max(len(s.losses) for s in standings)
    final = [s for s in standings if len(s.losses) == longest and math.isfinite(score(s.losses))]
    best = min(final, key=lambda s: score(s.losses), default=None)
    suggestion, confidence, reason = None, 0.0, ""
    if best is not None:
        drop = start - score(best.losses)
        if drop > max(2 * noise_of(best.losses), 0.01 * abs(start)):
            suggestion = best.rate
            confidence = _confidence(best, final, standings)
            reason = (
                f"loss {start:.3g} to {score(best.losses):.3g} in {longest} iterations, the "
                f"lowest of {len(standings)} rates from {standings[0].rate:.1g} to "
                f"{standings[-1].rate:.1g}"
            )
    findings = [_finding(standings, start, suggestion, confidence, reason)]
    if repeated:
        findings.append(
            Finding(
                "learning_rate",
                "note",
                f"the data have fewer than {longest} batches and were repeated",
                f"{longest} different batches",
            )
        )
    return FoundRate(
        suggestion,
        confidence,
        reason,
        tuple(s.rate for s in standings),
        tuple(tuple(s.losses) for s in standings),
        sum(len(s.losses) for s in standings),
        tuple(findings),
    )


def _confidence(best: Standing, final: Sequence[Standing], standings: Sequence[Standing]) -> float:
    """Chance that the best of the last rung is better than the next one, by paired batches.

    Halved at the end of the ladder, beyond which nothing was tried.
    """
    others = [s for s in final if s is not best]
    sure = 1.0
    if others:
        second = min(others, key=lambda s: score(s.losses))
        window = max(3, len(best.losses) // 8)
        ahead = np.subtract(second.losses[-window:], best.losses[-window:])
        error = float(np.std(ahead, ddof=1)) / math.sqrt(window)
        sure = normal_cdf(float(np.mean(ahead)) / max(error, 1e-12))
    return sure / 2 if best in (standings[0], standings[-1]) else sure


def _finding(standings, start, suggestion, confidence, reason) -> Finding:
    expected = "one rate at least at which the loss falls clearly"
    evidence = {"suggestion": suggestion, "confidence": confidence, "start": start}

    def found(severity, seen, advice="", cause=None):
        return Finding("learning_rate", severity, seen, expected, advice, cause, None, evidence)

    if suggestion is not None and suggestion in (standings[0].rate, standings[-1].rate):
        return found(
            "warning",
            f"learning rate {suggestion:.2g}, the last of the ladder: {reason}",
            "Search again with rates beyond it.",
        )
    if suggestion is not None:
        return found("ok", f"learning rate {suggestion:.2g}: {reason}")
    if math.isnan(start):
        return found(
            "failure",
            "the loss is not finite in the first step",
            "Look for NaN in inputs, labels and weights.",
            "nan_inputs",
        )
    flat = all(len(set(s.losses)) <= 1 for s in standings)
    return found(
        "failure",
        f"the loss stays near {start:.3g} at every rate",
        "Look for frozen layers, dead relus and labels that do not fit; then fit a small sample.",
        "frozen_layers" if flat else None,
    )
