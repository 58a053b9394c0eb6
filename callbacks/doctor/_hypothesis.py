"""A possible root cause, how certain it is, and the change that would mend it."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor.interventions import AS_IT_IS, Intervention

__all__ = ["Certainty", "Hypothesis"]


class Certainty(enum.IntEnum):
    """How certain a cause is before any trial.

    >>> Certainty.POSSIBLE < Certainty.LIKELY < Certainty.PROVEN
    True
    """

    POSSIBLE = 1  # an ordinary setting that may be the fault: worth a trial
    LIKELY = 2  # odd in itself: a warning, unless a trial speaks against it
    PROVEN = 3  # the facts alone decide


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One possible root cause. Checks make it by `proven`, `likely` and `possible`.

    Args:
        strength: 0..1, how far beyond its bound what was seen lies: orders hypotheses of one
            check and certainty (see `ranking`).
        cause: Label of the taxonomy; empty for the one cause of its check.
        cure: The change that would mend it; by default that of its check.
        check, stage: Filled in when the check is run.
        prior: 0..1, likelihood before any trial, from the table of `ranking`.

    >>> Hypothesis(Certainty.PROVEN, "learning rate 0", "about 0.001", "Raise it.").is_proven
    True
    """

    certainty: Certainty
    seen: str
    expected: str
    advice: str
    where: str | None = None
    strength: float = 0.0
    cause: str = ""
    cure: Intervention = AS_IT_IS
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    check: str = ""
    stage: str = ""
    prior: float = 0.0

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What tells one hypothesis from another."""
        return self.check, self.cause, self.where

    @property
    def is_proven(self) -> bool:
        return self.certainty is Certainty.PROVEN

    def finding(self, severity: str, **more: Any) -> Finding:
        """The hypothesis as a finding; `more` joins the evidence."""
        return Finding(
            self.check, severity, self.seen, self.expected, self.advice, cause=self.cause,
            where=self.where, evidence={**self.evidence, **more},
        )  # fmt: skip
