"""From suspicions and trials to ranked findings."""

from __future__ import annotations

from typing import Any

import keras

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._facts import Facts
from kcnn.callbacks.doctor._inquiry import Trial
from kcnn.callbacks.doctor._live_rules import loss_falls
from kcnn.callbacks.doctor._run import Run
from kcnn.callbacks.doctor._suspect import Suspect

__all__ = ["Verdict"]

FIRST = [
    "nan_inputs",
    "label_encoding",
    "wrong_output_units",
    "wrong_output_activation",
    "wrong_loss",
    "loss_activation_mismatch",
    "frozen_layers",
    "missing_hidden_activation",
    "bad_initialization",
    "lr_too_high",
    "lr_too_low",
    "missing_shuffle",
    "preprocessing_mismatch",
    "bad_normalization",
    "data_leak",
    "label_misalignment",
]
RATES = {"lr_too_high", "lr_too_low"}
# odd, but harmless where the run ends well all the same
HARMLESS = {
    "missing_hidden_activation",
    "bad_initialization",
    "frozen_layers",
    "bad_normalization",
    "missing_shuffle",
}


class Verdict:
    """Collects evidence about one run; `diagnosis` can be asked at any time."""

    def __init__(self, model: keras.Model, facts: Facts):
        self.model, self.facts = model, facts
        self.named: list[Finding] = []
        self.numbers: dict[str, Any] = {}
        self.spent: set[str] = set()

    @property
    def firm(self) -> list[Suspect]:
        found = [s for s in self.facts.suspects if s.firm]
        place = {cause: i for i, cause in enumerate(FIRST)}
        return sorted(found, key=lambda s: place.get(s.cause, len(FIRST)))

    @property
    def proven(self) -> bool:
        """Whether the set-up alone names a failure that no good end of a run would excuse."""
        return any(s.cause not in HARMLESS | {"wrong_metric"} for s in self.firm)

    def weigh(self, run: Run, *, until: float) -> None:
        """Try the changes that could mend the program; what mends it is named."""
        firm = [s for s in self.firm if s.cause != "wrong_metric"]
        if not firm:
            Trial(self, run, until).go()
        elif {s.cause for s in firm} <= HARMLESS and Trial(self, run, until).does_well():
            for suspect in firm:
                suspect.firm, suspect.weight = False, 0.6

    def _alarming(self, suspect: Suspect, run: Run | None) -> bool:
        """Whether an unconfirmed suspicion is worth more than a note.

        An unusual learning rate is none while the loss falls as it should: what is usual for
        another optimizer, schedule or pretrained network is not known.
        """
        if suspect.weight < 0.6 or suspect.cause in self.spent:
            return False
        falls = run is not None and loss_falls(run.history.get("loss", []))
        return not (suspect.check == "optimizer" and falls)

    def name(self, suspect: Suspect, severity: str = "failure", **evidence: Any) -> None:
        self.named.append(suspect.finding(severity, **evidence))
        self.spent.add(suspect.cause)

    def diagnosis(self, run: Run | None) -> Diagnosis:
        """Findings so far: firm facts, confirmed trials, then warnings and notes."""
        firm = self.firm
        metric = [s for s in firm if s.cause == "wrong_metric"]
        failures = [s.finding("failure") for s in firm if s.cause != "wrong_metric"][:2]
        failures += [f for f in self.named if f.severity == "failure"]
        failures += [s.finding("failure") for s in metric]
        said = {f.cause for f in failures}
        if said & RATES:  # one advice on the rate: the one that stood its trial
            said |= RATES
        rest = [f for f in self.named if f.severity != "failure" and f.cause not in said]
        warnings = [
            s.finding("warning" if self._alarming(s, run) else "note")
            for s in self.facts.suspects
            if s.cause not in said and s.weight >= 0.4
        ]
        notes = [
            Finding("data", "note", note, "all samples seen", "", where="x")
            for note in self.facts.case.notes
        ]
        numbers = dict(self.numbers)
        if run is not None:
            numbers["run_seconds"] = run.seconds
            numbers["history"] = run.history
        order = {"failure": 0, "warning": 1, "note": 2, "ok": 3}
        tail = sorted(rest + warnings + notes, key=lambda f: order[f.severity])
        case = self.facts.case
        return Diagnosis(tuple(failures + tail), numbers, tuple(case.unseen), case.blind)
