"""A cause under suspicion: how firmly, and in which words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kcnn.callbacks._finding import Finding

__all__ = ["Suspect"]


@dataclasses.dataclass
class Suspect:
    """One possible root cause.

    Args:
        cause: Label of the taxonomy.
        weight: How likely before any trial, 0..1. From 0.9 on it is named without one.
        firm: True when nothing needs to be tried: the facts alone decide.
    """

    cause: str
    weight: float
    seen: str
    expected: str
    advice: str
    where: str | None = None
    firm: bool = False
    check: str = "static"
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def finding(self, severity: str, **more: Any) -> Finding:
        """The suspicion as a finding; `more` joins the evidence."""
        return Finding(
            self.check,
            severity,
            self.seen,
            self.expected,
            self.advice,
            cause=self.cause,
            where=self.where,
            evidence={**self.evidence, **more},
        )
