"""Step 6 of the recipe: read loss and accuracy curves, and say what to change."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kcnn.callbacks import _curve_rules as rules
from kcnn.callbacks._curve_facts import Facts, facts_of
from kcnn.callbacks._finding import Finding

__all__ = ["CurveReading", "read_curves"]

MOST_WEIGHTY = ("unstable", "overfitting", "underfitting", "healthy")


@dataclasses.dataclass(frozen=True)
class CurveReading:
    """What the curves of a training say.

    Attributes:
        verdict: "healthy", "overfitting", "underfitting" or "unstable".
        onset_epoch: Last epoch (from 1) before the validation loss turned up for good;
            None where it did not.
        confidence: That the verdict is not made by noise, 0..1.
        gap: Validation loss less training loss at the end, or None without validation.
        findings: Every thing noticed, weightiest first.
        advice: What to change, in one or two sentences.
    """

    verdict: str
    onset_epoch: int | None
    confidence: float
    gap: float | None
    findings: tuple[Finding, ...]
    advice: str

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return values | {"findings": [finding.to_dict() for finding in self.findings]}


def read_curves(history: Mapping[str, Sequence[float]]) -> CurveReading:
    """Judge the curves of a whole or half-done training.

    Args:
        history: What `fit` returns, or its `history`: "loss", and where there is validation
            "val_loss"; also used if there: "accuracy" (or another accuracy) with its "val_"
            twin. One value per epoch.

    Raises:
        ValueError: without "loss", with no epoch, or curves of different length.
    """
    facts = facts_of(getattr(history, "history", history))
    findings = [found for rule in rules.RULES if (found := rule(facts)) is not None]
    verdict, confidence = _verdict(facts, findings)
    onset = rules.onset_epoch(facts)
    findings.sort(key=lambda f: (f.severity in ("ok", "note"), f.check != verdict))
    advice = next((f.advice for f in findings if f.check == verdict and f.advice), "")
    if not findings or verdict == "healthy":
        findings.insert(0, _healthy(facts))
        advice = findings[0].advice
    return CurveReading(verdict, onset, confidence, facts.gap, tuple(findings), advice)


def _verdict(facts: Facts, findings: Sequence[Finding]) -> tuple[str, float]:
    for verdict in MOST_WEIGHTY[:-1]:
        for finding in findings:
            if finding.check == verdict and not finding.ok:
                return verdict, float(finding.evidence.get("confidence", 1.0))
    doubt = max((float(f.evidence.get("confidence", 0.0)) for f in findings), default=0.0)
    return "healthy", 1.0 - min(doubt, 0.9) if facts.epochs >= 3 else 0.0


def _healthy(facts: Facts) -> Finding:
    if facts.epochs < 3:
        return Finding(
            "healthy", "note", f"too few epochs to tell: {facts.epochs}", "3 or more", "Train on."
        )
    end = f"loss {facts.end_loss:.3g}"
    if facts.gap is not None and math.isfinite(facts.gap):
        end += f", validation {facts.end_loss + facts.gap:.3g}"
    return Finding(
        "healthy",
        "ok",
        f"both curves fall and stay together: {end} after {facts.epochs} epochs",
        "training and validation loss falling together and leveling off",
        "Nothing needs changing; refine the learning rate or train a little longer.",
        evidence={"loss": facts.end_loss, "gap": np.nan if facts.gap is None else facts.gap},
    )
