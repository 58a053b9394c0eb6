"""Successive halving over learning rates, for `find_lr`: which, how long each, who goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves import normal_cdf
from kcnn.callbacks.learning_rate._rates import noise_of, shown_again, start_of
from kcnn.callbacks.state import require_compiled, steps_per_update

if TYPE_CHECKING:
    from kcnn.callbacks.learning_rate._find_lr import FoundRate

__all__ = [
    "HALF_DECADES", "Plan", "Standing", "judge_halving", "plan_of", "ranked", "score",
]  # fmt: skip

HALF_DECADES = tuple(float(10.0**e) for e in np.arange(-5.0, 1.1, 0.5))  # 1e-5 ... 10, half decades
# Tuned on the tuning tasks of benchmarks/lr_suggestion.py, three trainings of each.
ENDS = (12, 30, 54, 132)  # iterations after which fewer go on
KEEP = (5, 4, 2, 0)  # how many: 12 * 13 + 18 * 5 + 24 * 4 + 78 * 2 = 498 iterations
LEVEL, EQUAL = 0.1, 0.1  # of the loss at the start: learned less is nothing; closer is equal
LEAN = 0.05  # of what was learned: a rate behind by that much weighs 1/e of the best


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

    def cost(ends: Sequence[int]) -> int:
        return sum(n * (e - b) for n, b, e in zip(alive, (0, *ends[:-1]), ends, strict=True))

    share = min(1.0, iterations / cost(ENDS))
    ends: list[int] = []
    for end in ENDS:
        whole = int(end * share) // group * group
        ends.append(max(whole, (ends[-1] if ends else 0) + group))
    while cost(ends) > iterations and ends[-1] - ends[-2] > group:
        ends[-1] -= group
    return Plan(rates, tuple(ends), KEEP)


def score(losses: Sequence[float]) -> float:
    """Mean of the latest third of the losses (5 at least); infinity after divergence."""
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return math.inf
    return float(np.mean(losses[-_window(losses) :]))


def _window(losses: Sequence[float]) -> int:
    return max(5, len(losses) // 3)


def ranked(standings: Sequence[Standing], start: float) -> list[Standing]:
    """Those with finite scores, best first.

    While none has learned much yet (many networks begin on a plateau), rates with about the
    same loss are equal: behind the best, the largest come first. A small rate leads there only
    in that it does less harm, and will be the last to leave the plateau.
    """
    found = sorted((score(s.losses), s.rate, s) for s in standings if _sane(s))
    if not found:
        return []
    low = found[0][0]
    margin = EQUAL * abs(start) if start - low < LEVEL * abs(start) else 0.0
    equal = [row for row in found[1:] if row[0] <= low + margin] if margin else []
    rest = found[1 + len(equal) :]
    return [row[2] for row in found[:1] + sorted(equal, key=lambda row: -row[1]) + rest]


def _sane(standing: Standing) -> bool:
    return math.isfinite(score(standing.losses))


def judge_halving(standings: Sequence[Standing], *, repeated: bool) -> FoundRate:
    """Pick a rate, say why and how sure that is."""
    from kcnn.callbacks.learning_rate._find_lr import FoundRate

    start = start_of(s.losses for s in standings)
    longest = max(len(s.losses) for s in standings)
    final = [s for s in standings if len(s.losses) == longest and _sane(s)]
    best = min(final, key=lambda s: score(s.losses), default=None)
    suggestion, confidence, reason = None, 0.0, ""
    if best is not None:
        drop = start - score(best.losses)
        if drop > max(2 * noise_of(best.losses), 0.01 * abs(start)):
            suggestion = _weighted(final, LEAN * drop)
            confidence = _confidence(best, final, standings)
            reason = (
                f"loss {start:.3g} to {score(best.losses):.3g} in {longest} iterations at "
                f"{best.rate:.2g}, the lowest of {len(standings)} rates from "
                f"{standings[0].rate:.1g} to {standings[-1].rate:.1g}"
            )
            if not math.isclose(suggestion, best.rate, rel_tol=0.01):
                reason += f"; the last {len(final)} were close, the mean leans to the better"
        elif _differ(standings):
            suggestion, confidence = best.rate, 0.1
            reason = f"a guess: no rate has left the start's {start:.3g} in {longest} iterations"
    at_end = best is not None and best.rate in (standings[0].rate, standings[-1].rate)
    findings = [_finding(standings, start, suggestion, confidence, reason, at_end)]
    if repeated and longest > 1:
        findings.append(shown_again("learning_rate"))
    return FoundRate(
        suggestion,
        confidence,
        reason,
        tuple(s.rate for s in standings),
        tuple(tuple(s.losses) for s in standings),
        sum(len(s.losses) for s in standings),
        tuple(findings),
    )


def _weighted(final: Sequence[Standing], scale: float) -> float:
    """Mean of the last rates in the logarithm, weighted by how far each is behind the best."""
    scores = np.asarray([score(s.losses) for s in final])
    weights = np.exp(-(scores - scores.min()) / scale)
    mean = float(weights @ np.log10([s.rate for s in final]) / weights.sum())
    return float(f"{10**mean:.3g}")


def _differ(standings: Sequence[Standing]) -> bool:
    """Whether some rate's losses differ from the smallest one's, batch by batch, beyond chance."""
    first = standings[0].losses
    for other in standings[1:]:
        count = min(len(first), len(other.losses), ENDS[0])
        apart = np.subtract(other.losses[:count], first[:count])
        if count >= 10 and np.isfinite(apart).all():
            error = float(np.std(apart, ddof=1)) / math.sqrt(count)
            if error > 0 and abs(float(np.mean(apart))) > 4 * error:
                return True
    return False


def _confidence(best: Standing, final: Sequence[Standing], standings: Sequence[Standing]) -> float:
    """Chance that the best of the last rung is better than the next one, by paired batches.

    Halved at the end of the ladder, beyond which nothing was tried.
    """
    others = [s for s in final if s is not best]
    sure = 1.0
    if others:
        second = min(others, key=lambda s: score(s.losses))
        window = _window(best.losses)
        ahead = np.subtract(second.losses[-window:], best.losses[-window:])
        error = float(np.std(ahead, ddof=1)) / math.sqrt(window)
        sure = normal_cdf(float(np.mean(ahead)) / max(error, 1e-12))
    return sure / 2 if best in (standings[0], standings[-1]) else sure


def _finding(standings, start, suggestion, confidence, reason, at_end) -> Finding:
    expected = "one rate at least at which the loss falls clearly"
    evidence = {"suggestion": suggestion, "confidence": confidence, "start": start}

    def found(severity, seen, advice="", cause=None):
        return Finding("learning_rate", severity, seen, expected, advice, cause, None, evidence)

    if suggestion is not None and at_end:
        seen = f"learning rate {suggestion:.2g}, at the end of the ladder: {reason}"
        return found("warning", seen, "Search again with rates beyond it.")
    if suggestion is not None and reason.startswith("a guess"):
        advice = "Search again with more iterations, or add normalization."
        return found("warning", f"learning rate {suggestion:.2g}, {reason}", advice)
    if suggestion is not None:
        return found("ok", f"learning rate {suggestion:.2g}: {reason}")
    if math.isnan(start):
        seen = "the loss is not finite in the first step"
        return found("failure", seen, "Look for NaN in inputs, labels and weights.", "nan_inputs")
    flat = all(len(set(s.losses)) <= 1 for s in standings)
    return found(
        "failure",
        f"the loss stays near {start:.3g} at every rate",
        "Look for frozen layers, dead relus and labels that do not fit; then fit a small sample.",
        "frozen_layers" if flat else None,
    )
