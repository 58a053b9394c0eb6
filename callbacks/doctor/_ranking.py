"""The one table of judgement: what is told, how gravely, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kcnn.callbacks._finding import SEVERITIES, Finding
from kcnn.callbacks.data import Part
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor.trials.gain import hopeless

if TYPE_CHECKING:
    from kcnn.callbacks.doctor.trials.report import TrialReport

__all__ = ["BADLY", "EXCUSED", "PATIENCE", "RATES", "in_order", "loss_falls", "rank"]

# Of several proven causes: what must be mended before the next one can show.
FIRST = (
    "nan_inputs", "label_encoding", "wrong_output_units", "wrong_output_activation", "wrong_loss",
    "loss_activation_mismatch", "frozen_layers", "missing_hidden_activation",
    "bad_initialization", "lr_too_high", "lr_too_low", "missing_shuffle",
    "preprocessing_mismatch", "bad_normalization", "data_leak", "label_misalignment",
)  # fmt: skip
# Odd by themselves, and excused where the run ends well all the same.
EXCUSED = frozenset({
    "missing_hidden_activation", "bad_initialization", "frozen_layers", "bad_normalization",
    "missing_shuffle",
})  # fmt: skip


RATES = {"lr_too_high", "lr_too_low"}  # one advice on the rate, not two
BADLY = 0.5  # score of a program under which something must be wrong
PATIENCE = 3  # epochs after which a loss that has not fallen speaks against the rate


def rank(context: Any, report: TrialReport | None = None) -> Diagnosis:
    """Findings: proven causes, what trials confirmed, then warnings and notes.

    A likely cause that its own trial refuted, or that had nothing to win, is a note that asks for
    nothing. A possible one, an ordinary setting, is told only where the run went badly.
    """
    found = in_order(context.found)
    proven = [one for one in found if one.is_proven]
    failures = [one.finding("failure") for one in proven if one.cause != "wrong_metric"][:2]
    failures += [] if report is None else report.confirmed
    failures += [one.finding("failure") for one in proven if one.cause == "wrong_metric"]
    said = {finding.cause for finding in failures}
    said |= RATES if said & RATES else set()
    rest = [
        told
        for one in found
        if one.cause not in said and not one.is_proven
        if (told := _told(context, one, {} if report is None else report.refuted)) is not None
    ]
    case = context.case
    rest += [] if report is None else report.warnings
    rest += [Finding("examination", "note", note, "") for note in case.notes]
    rest.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    numbers = {} if report is None else dict(report.numbers)
    if context.run is not None:
        numbers |= {"run_seconds": context.run.seconds, "history": context.run.history}
    numbers["rows"] = str(case.part)
    if case.tracebacks:
        numbers["tracebacks"] = list(case.tracebacks)
    findings = tuple(_seen_in(case.part, one) for one in failures + rest)
    return Diagnosis(findings, numbers, tuple(case.unseen), case.blind)


def _told(context: Any, one: Hypothesis, refuted: Mapping[Any, Finding]) -> Finding | None:
    """A cause that nothing confirmed, as a warning or a note; None where it is not told."""
    final = context.final
    if one.certainty is Certainty.POSSIBLE:
        badly = final is not None and not context.by_loss and final.score < BADLY
        told = badly and one.stage in ("static", "data", "start") and one.key not in refuted
        return one.finding("note") if told else None
    if one.key in refuted:
        return refuted[one.key]
    losses = [] if context.run is None else context.run.history.get("loss", [])
    known = final is not None and np.isfinite(final.score)
    fine = known and hopeless(one.prior, final.score)
    # What rate is usual for another optimizer, schedule or task is not known.
    if fine or (one.cause in RATES and losses and loss_falls(losses)):
        return dataclasses.replace(one.finding("note"), advice="")
    return one.finding("warning")


def _seen_in(part: Part, finding: Finding) -> Finding:
    """A finding with the time, and with the part of the data that it was seen in."""
    if not part.whole:
        finding = dataclasses.replace(finding, evidence={**finding.evidence, "rows": str(part)})
    return finding.now()


def in_order(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Likelier ones first; of proven ones, what must be mended before others can show."""

    def place(one: Hypothesis) -> tuple[float, int]:
        return -one.prior, FIRST.index(one.cause) if one.cause in FIRST else len(FIRST)

    return sorted(hypotheses, key=place)


def loss_falls(losses: list[float]) -> bool:
    """Whether nothing in the epochs' losses speaks against the learning rate (yet)."""
    if not np.isfinite(losses).all():
        return False
    if len(losses) < PATIENCE or not any(losses):  # a step of the user's own may log nothing
        return True
    return min(losses[1:]) < losses[0]
