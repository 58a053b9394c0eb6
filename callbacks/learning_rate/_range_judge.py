"""From the losses of a range test to what it found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kcnn.callbacks._finding import Finding, Record
from kcnn.callbacks.learning_rate._range_rules import Suggestion, suggestions
from kcnn.callbacks.learning_rate._rates import shown_again

__all__ = ["RangeResult", "judge_range"]

CHECK = "learning_rate_range"


@dataclasses.dataclass(frozen=True)
class RangeResult(Record):
    """A finished range test; `from_dict` reads what `to_dict` wrote.

    Attributes:
        rates: Learning rate of each step.
        losses: That step's own batch loss; the last may be NaN or infinite.
        suggestion: The rate to use, or None where the test shows none.
        suggestions: What each named rule says ("steepest", "minimum/10", "valley", "kcnn").
        findings: What was found, and why there is no suggestion.

    >>> rates = np.geomspace(1e-4, 10, 60)
    >>> result = judge_range(rates, [2.3 - 0.03 * i for i in range(50)] + [9.0] * 10)
    >>> 0.01 < result.suggestion < 1
    True
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None
    suggestions: tuple[Suggestion, ...]
    findings: tuple[Finding, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RangeResult:
        """The result that `to_dict` wrote."""
        losses = (math.nan if loss is None else float(loss) for loss in data["losses"])
        return cls(
            tuple(data["rates"]),
            tuple(losses),
            data["suggestion"],
            tuple(Suggestion(**s) for s in data["suggestions"]),
            tuple(Finding.from_dict(f) for f in data["findings"]),
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw losses over rates with every suggestion marked; returns the figure."""
        from kcnn.callbacks.plots import plot_range

        return plot_range(self, ax=ax)


def judge_range(
    rates: Sequence[float],
    losses: Sequence[float],
    *,
    repeated: bool = False,
    usual: float | None = None,
    batch: float | None = None,
    moved: float = 0.0,
    no_numbers: bool = False,
) -> RangeResult:
    """Judge a range test. No suggestion is invented where the losses show none.

    Args:
        rates: Learning rate of each step, rising.
        losses: Each step's own batch loss; may end in NaN or infinity.
        repeated: Whether the data were shown again, to say so.
        usual: The rate that usually serves such a model, if known.
        batch: Samples behind one update, if known.
        moved: The largest change of a kernel by the test, as a share of its norm; NaN
            where a kernel is.
        no_numbers: Whether loss or weights became NaN at a rate too low to be the cause.
    """
    rates, losses = [float(r) for r in rates], [float(v) for v in losses]
    finite = 0
    while finite < len(losses) and math.isfinite(losses[finite]):
        finite += 1
    ended = finite < len(losses)
    means = _by_rate(rates[:finite], losses[:finite])
    found = suggestions(*means, ended=ended, usual=usual, batch=batch, moved=moved)
    best = next((s for s in found if s.name == "kcnn"), None)
    if no_numbers:
        found, best = (), None
    finding = _verdict(rates, losses, finite, best, falls=len(found) > 1)
    if best is None and finite and (no_numbers or (math.isnan(moved) and not ended)):
        finding = _nan_within(finding, rates[-1], losses[-1])
    findings = [finding]
    if repeated:
        findings.append(shown_again(CHECK))
    suggestion = None if best is None else best.lr
    return RangeResult(tuple(rates), tuple(losses), suggestion, found, tuple(findings))


def _nan_within(finding: Finding, rate: float, last: float) -> Finding:
    """The loss is NaN at a rate that cannot be the cause, or hides that weights are."""
    seen = f"{finding.seen}; weights have become NaN, which a relu hides from the loss"
    if not math.isfinite(last):
        seen = f"the loss is {last} at a learning rate of {rate:.2g}, too small to be the cause"
    advice = "Look for NaN or infinity in inputs, labels and weights."
    return dataclasses.replace(finding, seen=seen, advice=advice, cause="nan_inputs")


def _by_rate(rates: Sequence[float], losses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss of each rate: several batches share one under gradient accumulation."""
    distinct, place = np.unique(np.asarray(rates, "float64"), return_inverse=True)
    if not distinct.size:
        return distinct, distinct
    return distinct, np.bincount(place, weights=np.asarray(losses, "float64")) / np.bincount(place)


def _verdict(
    rates: Sequence[float], losses: Sequence[float], finite: int, best: Any, *, falls: bool
) -> Finding:
    expected = "a loss that falls while the rate rises, then breaks out"
    evidence = {"steps": len(losses), "suggestion": None if best is None else best.lr}

    def found(severity, seen, advice="", cause=None):
        return Finding(CHECK, severity, seen, expected, advice, cause, None, evidence)

    if not losses:
        return found("failure", "no batch was seen", "Give `fit` data.")
    if finite == 0:
        seen = f"the loss is {losses[0]} in the first step"
        return found("failure", seen, "Look for NaN in inputs, labels and weights.", "nan_inputs")
    if np.ptp(np.asarray(losses[:finite])) <= 1e-6 * abs(losses[0]):
        return found(
            "failure",
            f"the loss stays at {losses[0]:.4g} at every rate",
            "Nothing is learned: look for frozen layers, dead relus or a constant output.",
            "frozen_layers",
        )
    if best is None:
        return found(
            "failure",
            f"the loss never falls clearly between {rates[0]:.2g} and {rates[-1]:.2g}",
            "Widen the range, take more iterations or larger batches; first fit a small sample.",
        )
    if not falls:
        return found(
            "warning",
            f"suggested learning rate {best.lr:.2g}, a guess: {best.reason}",
            "Ask `find_lr`, which trains longer; take more iterations or larger batches.",
        )
    return found("ok", f"suggested learning rate {best.lr:.2g}: {best.reason}")
