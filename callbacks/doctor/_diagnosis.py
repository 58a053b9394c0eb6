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
    """

    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def causes(self) -> list[str]:
        """Labels of the failures, likeliest root cause first, each once."""
        named = [f.cause for f in self.findings if f.severity == "failure" and f.cause]
        return list(dict.fromkeys(named))

    @property
    def healthy(self) -> bool:
        """True when no failure was found."""
        return not any(f.severity == "failure" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return {
            "healthy": self.healthy,
            "causes": self.causes,
            "findings": [finding.to_dict() for finding in self.findings],
            "numbers": _named(plain(self.numbers)),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Diagnosis:
        """The diagnosis that `to_dict` wrote."""
        findings = tuple(Finding.from_dict(item) for item in data.get("findings", ()))
        return cls(findings, _unnamed(dict(data.get("numbers", {}))))

    def __str__(self) -> str:
        if not self.findings:
            return "healthy: nothing found"
        head = "healthy" if self.healthy else "root cause: " + ", ".join(self.causes)
        return "\n".join([head] + [f"  {finding}" for finding in self.findings])
