"""What the doctor answers: findings ranked by how likely each is the root cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kcnn.callbacks._finding import Finding, _named, _unnamed, plain

__all__ = ["Diagnosis"]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Ranked findings about one training run.

    Args:
        findings: Likeliest root cause first: failures, then warnings, then notes.
        numbers: What was measured on the way (skills, seconds, trials), JSON types.
        unseen: What could not be examined and why, one sentence each.
        blind: True when the set-up itself (task, head, loss) or a whole check is among it.

    >>> print(Diagnosis())
    healthy: nothing found
    """

    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    unseen: tuple[str, ...] = ()
    blind: bool = False

    @property
    def causes(self) -> list[str]:
        """Labels of the failures, likeliest root cause first, each once."""
        named = [f.cause for f in self.findings if f.severity == "failure" and f.cause]
        return list(dict.fromkeys(named))

    @property
    def complete(self) -> bool:
        """True when every part of the examination ran."""
        return not self.unseen

    @property
    def healthy(self) -> bool:
        """True when no failure was found by checks that all ran."""
        return not self.blind and not any(f.severity == "failure" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return {
            "healthy": self.healthy,
            "complete": self.complete,
            "unseen": list(self.unseen),
            "blind": self.blind,
            "causes": self.causes,
            "findings": [finding.to_dict() for finding in self.findings],
            "numbers": _named(plain(self.numbers)),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Diagnosis:
        """The diagnosis that `to_dict` wrote."""
        findings = tuple(Finding.from_dict(item) for item in data.get("findings", ()))
        numbers = _unnamed(dict(data.get("numbers", {})))
        return cls(findings, numbers, tuple(data.get("unseen", ())), data.get("blind", False))

    def __str__(self) -> str:
        if not self.findings and self.complete:
            return "healthy: nothing found"
        failed = any(f.severity == "failure" for f in self.findings)
        head = "root cause: " + ", ".join(self.causes) if failed else "healthy"
        if not failed and not self.complete:
            head = "unknown" if self.blind else "healthy as far as it was examined"
        lines = [head, *(f"  {finding}" for finding in self.findings)]
        return "\n".join([*lines, *(f"  not examined: {why}" for why in self.unseen)])
