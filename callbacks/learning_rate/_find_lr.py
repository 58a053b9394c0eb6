"""The learning rate to use: short trainings from one saved state, the better ones go on."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kcnn.callbacks._finding import Finding, Record
from kcnn.callbacks.data import feed_of
from kcnn.callbacks.learning_rate._halving import (
    HALF_DECADES,
    Plan,
    Standing,
    judge_halving,
    plan_of,
    ranked,
    score,
)
from kcnn.callbacks.learning_rate._rates import start_of
from kcnn.callbacks.sanity import nonfinite_finding
from kcnn.callbacks.sinks import print_sink, tell
from kcnn.callbacks.state import ShortTraining

__all__ = ["FoundRate", "find_lr"]


@dataclasses.dataclass(frozen=True)
class FoundRate(Record):
    """What `find_lr` found.

    Attributes:
        suggestion: Learning rate to use, or None where no rate learns.
        confidence: That no other rate tried is clearly better, 0..1.
        reason: Why this rate, in a sentence.
        rates: Rates tried, rising.
        losses: For each rate its batch losses, from the same start.
        iterations: Steps taken in all.
        findings: What was found.

    >>> found = find_lr(model, x, y, rates=(1e-3, 1e-2), iterations=50, sink=None)
    >>> len(found.losses) == len(found.rates) == 2
    True
    """

    suggestion: float | None
    confidence: float
    reason: str
    rates: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    iterations: int
    findings: tuple[Finding, ...]

    def plot(self, ax: Any = None) -> Any:
        """Draw every rate's losses; returns the figure."""
        from kcnn.callbacks.plots import plot_rates

        return plot_rates(self.rates, self.losses, self.suggestion, ax=ax)


def find_lr(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    iterations: int = 500,
    rates: Sequence[float] = HALF_DECADES,
    seed: int = 0,
    on_iteration: Callable[[float, int, float], Any] | None = None,
    sink: Callable[[Finding], Any] | None = print_sink,
) -> FoundRate:
    """Find a learning rate for a compiled model, which stays bit-identical.

    Each of a ladder of rates trains a few iterations from the model's present state on
    the same batches; the better ones go on from where they stood, and so on (successive
    halving, Jamieson & Talwalkar, arXiv:1502.07943), judged by the mean of the latest
    losses. The suggestion is the better of the last two or, where they are close, between
    them. Everything runs through the model's own training step; a learning-rate schedule or
    callable is stepped over and put back (one more trace).

    Args:
        model: Compiled model, any optimizer.
        x: Arrays, a `tf.data.Dataset` or whatever else `fit` takes.
        y: Targets, with arrays.
        batch_size: With arrays; 32 if None.
        iterations: Most steps in all, 50 or more.
        rates: The ladder, rising.
        seed: Order of the rows of arrays.
        on_iteration: Called as `on_iteration(rate, iteration, loss)` after each step.
        sink: Called with every finding.

    Raises:
        ValueError: uncompiled model, too few iterations, rates not positive and rising.

    >>> found = find_lr(model, x, y, batch_size=64, iterations=50, sink=None)
    >>> 0.01 < found.suggestion < 1
    True
    """
    plan = plan_of(rates, iterations, model)
    feed = feed_of(x, y, batch_size=batch_size, batches=plan.longest, seed=seed)
    with ShortTraining(model, feed) as probe:
        standings = _climb(probe, plan, on_iteration)
    found = judge_halving(standings, repeated=feed.repeated)
    looked = 1 if found.findings[0].ok else plan.longest
    broken = nonfinite_finding(model, feed, looked)
    if broken is not None:
        found = dataclasses.replace(found, findings=(broken, *found.findings))
    tell(found.findings, sink)
    return found


def _climb(
    probe: ShortTraining, plan: Plan, on_iteration: Callable[[float, int, float], Any] | None
) -> list[Standing]:
    """Run the plan; the standings of all rates, rising."""
    standings = [Standing(rate, [], None) for rate in plan.rates]
    alive = list(standings)
    begun = 0
    for rung, end in enumerate(plan.ends):
        keep = plan.keep[rung]
        for standing in alive:
            if begun == 0:
                probe.rewind()
            else:
                probe.load(standing.saved)

            def tell(step, loss, standing=standing, begun=begun):
                if on_iteration is not None:
                    on_iteration(standing.rate, begun + step, loss)

            standing.losses += probe.losses(standing.rate, begun, end, on_iteration=tell)
            standing.saved = None
            if keep and math.isfinite(score(standing.losses)):
                standing.saved = probe.save()
                _forget_all_but(standings, keep)
        alive = [standing for standing in standings if standing.saved is not None]
        begun = end
        if not alive:
            break
    return standings


def _forget_all_but(standings: Sequence[Standing], keep: int) -> None:
    """Free the saved states of all but the best: at most `keep` copies are held."""
    held = [s for s in standings if s.saved is not None]
    done = max(len(s.losses) for s in held)
    best = ranked([s for s in held if len(s.losses) == done], start_of(s.losses for s in standings))
    for standing in best[keep:]:
        standing.saved = None
