"""The one table of judgement: what is likelier before a trial, and what a trial has to win."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.data import Part
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis

if TYPE_CHECKING:
    from kcnn.callbacks.doctor.trials.measure import Outcome
    from kcnn.callbacks.doctor.trials.series import TrialReport

__all__ = [
    "EXCUSED",
    "Gain",
    "convincing",
    "gain_of",
    "hopeless",
    "in_order",
    "loss_falls",
    "prior_of",
    "rank",
]

POSSIBLE, LIKELY = Certainty.POSSIBLE, Certainty.LIKELY

# Likelihood before any trial, for the weakest and for the strongest sight of a check, found on
# the tuning half of benchmarks/doctor. What is likelier is tried first and has less to win.
# A check that is not here takes the middle of its certainty.
MIDDLE = {POSSIBLE: (0.4, 0.4), LIKELY: (0.7, 0.7)}
PRIORS: dict[str, dict[Certainty, tuple[float, float]]] = {
    # outputs, loss, labels
    "output_activation": {LIKELY: (0.6, 0.85), POSSIBLE: (0.5, 0.5)},
    "output_loss": {LIKELY: (0.75, 0.88), POSSIBLE: (0.3, 0.5)},
    "output_units": {LIKELY: (0.6, 0.6)},
    "output_layers": {LIKELY: (0.6, 0.85)},
    # layers
    "linear_layers": {LIKELY: (0.7, 0.89), POSSIBLE: (0.45, 0.45)},
    "narrow_layers": {LIKELY: (0.7, 0.7), POSSIBLE: (0.5, 0.5)},
    "small_maps": {LIKELY: (0.6, 0.6), POSSIBLE: (0.4, 0.55)},
    "frozen_layers": {LIKELY: (0.6, 0.9)},
    "strong_regularization": {LIKELY: (0.6, 0.85)},
    "saturating_layers": {LIKELY: (0.6, 0.8), POSSIBLE: (0.35, 0.5)},
    "runaway_activation": {LIKELY: (0.6, 0.6)},
    "recurrent_growth": {POSSIBLE: (0.55, 0.55)},
    "initial_weights": {LIKELY: (0.6, 0.85), POSSIBLE: (0.45, 0.6)},
    # the optimizer
    "rate_too_high": {LIKELY: (0.6, 0.85), POSSIBLE: (0.5, 0.6)},
    "rate_too_low": {LIKELY: (0.6, 0.89), POSSIBLE: (0.44, 0.6)},
    # data
    "input_scale": {LIKELY: (0.6, 0.88), POSSIBLE: (0.45, 0.5)},
    "target_scale": {LIKELY: (0.6, 0.88), POSSIBLE: (0.45, 0.6)},
    "row_order": {LIKELY: (0.6, 0.75)},
    "class_balance": {LIKELY: (0.75, 0.75), POSSIBLE: (0.5, 0.5)},
    "split_shift": {LIKELY: (0.6, 0.65), POSSIBLE: (0.5, 0.5)},
    # how the run ended
    "dead_units": {LIKELY: (0.8, 0.8), POSSIBLE: (0.5, 0.5)},
    "gradient_size": {LIKELY: (0.6, 0.75)},
    "activation_size": {LIKELY: (0.75, 0.75)},
    "overfitting": {LIKELY: (0.6, 0.6)},
    "label_agreement": {LIKELY: (0.8, 0.8)},
    # ordinary settings that are worth a trial
    "rate_up_or_down": {POSSIBLE: (0.3, 0.3)},
    "fading_schedule": {POSSIBLE: (0.5, 0.7)},
    "batch_size": {POSSIBLE: (0.45, 0.72)},
    "some_regularization": {POSSIBLE: (0.2, 0.55)},
    "random_transforms": {POSSIBLE: (0.55, 0.55)},
    "unshuffled": {POSSIBLE: (0.4, 0.4)},
    "capacity": {POSSIBLE: (0.4, 0.4)},
    "uncustomary_end": {POSSIBLE: (0.4, 0.4)},
    "training_length": {POSSIBLE: (0.35, 0.7)},
    "plain_optimizer": {POSSIBLE: (0.5, 0.5)},
    "both_scales": {POSSIBLE: (0.6, 0.6)},
}


def prior_of(hypothesis: Hypothesis) -> float:
    """Likelihood of a hypothesis before any trial, 0..1."""
    if hypothesis.is_proven:
        return 1.0
    row = PRIORS.get(hypothesis.check, MIDDLE)
    low, high = row.get(hypothesis.certainty, MIDDLE[hypothesis.certainty])
    return low + (high - low) * float(np.clip(hypothesis.strength, 0, 1))


class Bound(NamedTuple):
    """What a trial of a hypothesis of this prior has to win.

    Where the program does as well as `well`, far more must be possible (`well_gain`,
    `well_ratio`), and from `end` on nothing is named.
    """

    prior: float
    gain: float
    ratio: float
    well: float
    well_gain: float
    well_ratio: float
    end: float


BOUNDS = (
    Bound(0.75, 0.035, 1.2, 0.7, 0.06, 1.4, np.inf),  # odd: a small gain is enough
    Bound(0.6, 0.055, 1.3, 0.8, 0.09, 1.9, 0.93),
    Bound(0.5, 0.07, 1.4, 0.72, 0.15, 2.5, 0.85),
    Bound(0.0, 0.16, 1.6, 0.7, 0.15, 2.5, 0.83),  # ordinary: it does badly, and then far better
)


class Gain(NamedTuple):
    """What a change wins: difference of scores, and ratio of what is missing to perfection."""

    value: float
    ratio: float

    @property
    def helps(self) -> bool:
        """A gain worth another step in the same direction."""
        return self.value > 0.03 and self.ratio > 1.15


def gain_of(new: Outcome, old: Outcome) -> Gain:
    """How much better an outcome is.

    Below 0 nothing is won: to come from nonsense to a constant answer is not to learn.
    """
    after, before = max(new.score, 0.0), max(old.score, 0.0)
    d = after - before
    if np.isfinite(new.val):
        d = min(d, max(new.val, 0.0) - max(old.val, 0.0) + 0.05)
    return Gain(float(d), float((1.02 - before) / max(1.02 - after, 0.01)))


def convincing(gain: Gain, prior: float, before: float) -> bool:
    """Is a gain enough to name the cause, for a program that scores `before`?"""
    bound = next(one for one in BOUNDS if prior >= one.prior)
    if before < bound.well:
        return gain.value >= bound.gain and gain.ratio >= bound.ratio
    enough = gain.value >= bound.well_gain and gain.ratio >= bound.well_ratio
    return enough and before < bound.end


def hopeless(prior: float, before: float) -> bool:
    """Not even a perfect outcome would name the cause."""
    return not convincing(Gain(1.0 - before, (1.02 - before) / 0.02), prior, before)


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


RATES = {"lr_too_high", "lr_too_low"}
SEVERITIES = ("failure", "warning", "note", "ok")
PATIENCE = 3  # epochs after which a loss that has not fallen speaks against the rate


def rank(context: Any, report: TrialReport | None = None) -> Diagnosis:
    """Findings: proven causes, what trials confirmed, then warnings and notes.

    A likely cause that its own trial refuted, or that had nothing to win, is a note. A possible
    one is told only where the set-up shows it and no trial spoke against it.
    """
    found = in_order(context.found)
    proven = [one for one in found if one.is_proven]
    failures = [one.finding("failure") for one in proven if one.cause != "wrong_metric"][:2]
    failures += [] if report is None else report.confirmed
    failures += [one.finding("failure") for one in proven if one.cause == "wrong_metric"]
    said = {finding.cause for finding in failures}
    said |= RATES if said & RATES else set()  # one advice on the rate: the one that was tried
    refuted = set() if report is None else {one.key for one in report.refuted}
    rest = [
        one.finding(_severity(context, one, refuted))
        for one in found
        if one.cause not in said and _told(one, refuted)
    ]
    case = context.case
    rest += [Finding("examination", "note", note, "") for note in case.notes]
    rest.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    numbers = {} if report is None else dict(report.numbers)
    if context.run is not None:
        numbers |= {"run_seconds": context.run.seconds, "history": context.run.history}
    numbers["rows"] = str(case.part)
    if case.tracebacks:
        numbers["tracebacks"] = list(case.tracebacks)
    findings = tuple(_told_of(case.part, one) for one in failures + rest)
    return Diagnosis(findings, numbers, tuple(case.unseen), case.blind)


def _told_of(part: Part, finding: Finding) -> Finding:
    """A finding with the time, and with the part of the data that it was seen in."""
    if not part.whole:
        finding = dataclasses.replace(finding, evidence={**finding.evidence, "rows": str(part)})
    return finding.now()


def in_order(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Likelier ones first; of proven ones, what must be mended before others can show."""

    def place(one: Hypothesis) -> tuple[float, int]:
        return -one.prior, FIRST.index(one.cause) if one.cause in FIRST else len(FIRST)

    return sorted(hypotheses, key=place)


def _told(one: Hypothesis, refuted: set[Any]) -> bool:
    if one.certainty is POSSIBLE:
        return one.stage in ("static", "data", "start") and one.key not in refuted
    return not one.is_proven


def _severity(context: Any, one: Hypothesis, refuted: set[Any]) -> str:
    if one.certainty is POSSIBLE or one.key in refuted:
        return "note"
    if context.final is not None and hopeless(one.prior, context.final.score):
        return "note"
    losses = [] if context.run is None else context.run.history.get("loss", [])
    if one.cause in RATES and losses and loss_falls(losses):
        return "note"  # what is usual for another optimizer, schedule or task is not known
    return "warning"


def loss_falls(losses: list[float]) -> bool:
    """Whether nothing in the epochs' losses speaks against the learning rate (yet)."""
    if not np.isfinite(losses).all():
        return False
    if len(losses) < PATIENCE or not any(losses):  # a step of the user's own may log nothing
        return True
    return min(losses[1:]) < losses[0]
