"""Step 6 of the recipe: read loss and accuracy curves, and say what to change."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from kcnn.callbacks._finding import Finding, Record
from kcnn.callbacks.curves._facts import Facts, facts_of
from kcnn.callbacks.curves._rules import noticed
from kcnn.callbacks.curves._rules_overfit import overfit_confidence, turned

__all__ = ["CurveReading", "read_curves"]

MOST_WEIGHTY = ("unstable", "overfitting", "underfitting")
SAYS = {"generalization_gap": "overfitting"}  # checks that are not named like their verdict


@dataclasses.dataclass(frozen=True)
class CurveReading(Record):
    """What the curves of a training say.

    Attributes:
        verdict: "healthy", "overfitting", "underfitting" or "unstable".
        onset_epoch: Last epoch (from 1) before the validation loss turned up for good;
            None where it did not.
        confidence: That the verdict is not made by noise, 0..1.
        gap: Validation loss less training loss at the end, or None without validation.
        findings: Every thing noticed, weightiest first.
        advice: What to change, in one or two sentences.

    >>> reading = read_curves({"loss": [2.0, 0.9, 0.4, 0.3, 0.29, 0.29]})
    >>> reading.verdict, reading.onset_epoch
    ('healthy', None)
    """

    verdict: str
    onset_epoch: int | None
    confidence: float
    gap: float | None
    findings: tuple[Finding, ...]
    advice: str


def read_curves(
    history: Mapping[str, Sequence[float]], *, epochs: Sequence[int] | None = None
) -> CurveReading:
    """Judge the curves of a whole or half-done training.

    Args:
        history: What `fit` returns, or its `history`: "loss", and where there is validation
            "val_loss"; also used if there: "accuracy" (or another accuracy) with its "val_"
            twin. One value per epoch.
        epochs: The number of each value's epoch, from 1, where not every epoch has one (with
            `validation_freq=5`, give the values of the validated epochs and 5, 10, ...).

    Raises:
        ValueError: without "loss", with no epoch, or curves of different length.

    >>> read_curves({"loss": [2, 1, 0.4, 0.1], "val_loss": [2, 1.2, 1.5, 2.3]}).verdict
    'overfitting'
    """
    facts = facts_of(getattr(history, "history", history), epochs)
    findings = noticed(facts)
    verdict, confidence = _verdict(facts, findings)
    if verdict == "healthy":
        findings.append(_healthy(facts, findings))
    findings.sort(key=lambda f: (_said(f) != verdict, f.ok))
    advice = next((f.advice for f in findings if f.advice), "")
    overfitted = turned(facts)
    onset = None if overfitted is None else overfitted.onset_epoch
    return CurveReading(verdict, onset, confidence, facts.gap, tuple(findings), advice)


def _verdict(facts: Facts, findings: Sequence[Finding]) -> tuple[str, float]:
    for verdict in MOST_WEIGHTY:
        for finding in findings:
            if _said(finding) == verdict and not finding.ok:
                return verdict, float(finding.evidence.get("confidence", 1.0))
    doubts = [float(f.evidence.get("confidence", 0.0)) for f in findings]
    doubt = max(*doubts, overfit_confidence(facts), 0.0)
    return "healthy", 1.0 - min(doubt, 0.9) if facts.epochs >= 3 else 0.0


def _said(finding: Finding) -> str:
    return SAYS.get(finding.check, finding.check)


def _healthy(facts: Facts, findings: Sequence[Finding]) -> Finding:
    if facts.epochs < 3:
        return Finding(
            "healthy", "note", f"too few epochs to tell: {facts.epochs}", "3 or more", "Train on."
        )
    evidence = {"loss": facts.end_loss, "gap": np.nan if facts.gap is None else facts.gap}
    end, advice = f"loss {facts.end_loss:.3g}", "Refine the learning rate or train a little longer"
    if facts.gap is None:
        seen = f"the training loss falls and levels off: {end} after {facts.last_epoch} epochs"
        expected = "a training loss that falls and levels off"
        advice = f"{advice}; give `fit` validation data, without which overfitting is not seen"
    else:
        end += f", validation {facts.end_loss + facts.gap:.3g}"
        expected = "training and validation loss falling together and leveling off"
        seen = f"both curves fall and stay together: {end} after {facts.last_epoch} epochs"
        gap = next((f for f in findings if f.check == "generalization_gap"), None)
        if gap is not None:
            seen = (
                "both curves fall, the validation loss does not turn up for sure and stays "
                f"above: {end} after {facts.last_epoch} epochs"
            )
            advice = gap.advice.rstrip(".")
    return Finding("healthy", "ok", seen, expected, f"{advice}.", evidence=evidence)
