"""What a range test found: a record that serializes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.learning_rate._range_rules import Suggestion

__all__ = ["RangeResult"]


@dataclasses.dataclass(frozen=True)
class RangeResult:
    """A finished range test.

    Attributes:
        rates: Learning rate of each step.
        losses: That step's own batch loss; the last may be NaN or infinite.
        suggestion: The rate to use, or None where the test shows none.
        suggestions: What each named rule says ("steepest", "minimum/10", "valley", "kcnn").
        findings: What was found, and why there is no suggestion.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None
    suggestions: tuple[Suggestion, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types (losses that are not finite: None), for `from_dict`."""
        return {
            "rates": list(self.rates),
            "losses": [loss if math.isfinite(loss) else None for loss in self.losses],
            "suggestion": self.suggestion,
            "suggestions": [s.to_dict() for s in self.suggestions],
            "findings": [f.to_dict() for f in self.findings],
        }

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
