"""From suspicions and trials to ranked findings."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._facts import Facts
from kcnn.callbacks.doctor._plan import Change, plan_changes
from kcnn.callbacks.doctor._record import Run
from kcnn.callbacks.doctor._static_start import learning_rate
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._symptoms import read_symptoms
from kcnn.callbacks.doctor._trials import Outcome, Setting, Workshop

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
]


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

    def weigh(self, run: Run, *, until: float) -> None:
        """Try the changes that could mend the program; what mends it is named."""
        causes = {s.cause for s in self.firm} - {"wrong_metric"}
        if causes:
            return
        if not self.facts.case.train.single and self.facts.task.kind != "other":
            return
        Trial(self, run, until).go()

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
        rest = [f for f in self.named if f.severity != "failure" and f.cause not in said]
        warnings = [
            s.finding("warning" if s.weight >= 0.6 and s.cause not in self.spent else "note")
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
        return Diagnosis(tuple(failures + tail), numbers)


class Trial:
    """The trials after one run."""

    def __init__(self, verdict: Verdict, run: Run, until: float):
        self.verdict, self.run, self.until = verdict, run, until
        facts = verdict.facts
        self.case, self.task = facts.case, facts.task
        rates = run.rates or [learning_rate(verdict.model.optimizer)]
        self.steps = max(run.steps, 1)
        at = np.minimum(np.arange(self.steps) * len(rates) // self.steps, len(rates) - 1)
        strange = {s.cause for s in facts.suspects if s.weight >= 0.6} & {
            "preprocessing_mismatch", "data_leak", "missing_shuffle",
        }  # fmt: skip
        self.shop = Workshop(
            verdict.model, self.case, self.task, facts.head, facts.loss,
            rates=np.asarray(rates, "float32")[at], steps=self.steps, own_val=not strange,
        )  # fmt: skip
        self.tried: list[tuple[Change, Outcome]] = []

    def go(self) -> None:
        shop, run = self.shop, self.run
        rig = shop.rig(Setting())
        if rig is None:
            return
        rig.reset(run.weights)
        self.final = shop.measure(rig)
        self.verdict.numbers["final"] = _numbers(self.final)
        facts = self.verdict.facts
        symptoms = read_symptoms(self.verdict.model, rig, facts, shop, run, self.final)
        facts.suspects[:] = sorted(facts.suspects + symptoms, key=lambda s: -s.weight)
        if any(s.firm and s.cause != "wrong_metric" for s in symptoms):
            return
        if type(self.verdict.model).train_step is not keras.Model.train_step:
            self.own_step()
            return
        changes = plan_changes(shop, facts.suspects, "batch_size" in self.case.kwargs)
        self.pace(rig, len(changes))
        self.base = self.final
        if shop.held_out or self.length < self.steps:
            base = shop.try_out(Setting(), steps=self.length, until=self.until)
            self.base = base or self.final
            self.base_weights = rig.values()
        self.verdict.numbers["base"] = _numbers(self.base)
        likely = [change for change in changes if change.weight >= 0.6]
        self.each(likely)
        if time.perf_counter() < self.until:
            self.go_on(rig)
        self.each([change for change in changes if change.weight < 0.6])
        self.conclude()
        if not self.verdict.named and self.final.train < 0.15:
            self.fall_back()

    def each(self, changes: list[Change]) -> None:
        for change in changes:
            if time.perf_counter() > self.until:
                break
            self.one(change)

    def fall_back(self) -> None:
        """Nothing is learned and no trial mended it: the strongest suspicion is named."""
        others = [s for s in self.verdict.facts.suspects if s.weight >= 0.45]
        helped = [(gain(out, self.base)[0], change.suspect) for change, out in self.tried]
        helped = sorted((h for h in helped if h[0] > 0.08), key=lambda h: -h[0])
        chosen = others[0] if others else helped[0][1] if helped else None
        if chosen is not None:
            self.verdict.name(chosen, confirmed_by_trial=False)

    def own_step(self) -> None:
        """A train_step of the user's own: does the standard one do far better?"""
        rig = self.shop.rig(Setting())
        out = self.shop.try_out(Setting(), steps=self.steps, until=self.until)
        if rig is None or out is None or out.score - self.final.score < 0.2:
            return
        rig.reset()
        before = rig.loss_of(self.shop.look)
        rig.reset(self.run.weights)
        after = rig.loss_of(self.shop.look)
        grew = not np.isfinite(after) or after > 1.02 * before
        suspect = Suspect(
            "lr_too_high", 0.9 if grew else 0.5,
            "the loss grows under the model's own train_step and falls under the standard one",
            "the gradient subtracted, at a moderate rate",
            "Check the sign of the gradients in train_step.", "train_step", grew,
            "train_step", {"own": self.final.score, "standard": out.score},
        )  # fmt: skip
        self.verdict.name(suspect, "failure" if grew else "warning", confirmed_by_trial=True)

    def pace(self, rig: Any, count: int) -> None:
        """How many steps each trial may take."""
        self.shop.try_out(Setting(), steps=min(self.steps, 12))
        step = max(rig.step_seconds, 1e-6)
        left = self.until - time.perf_counter() - 1.0 * count
        fair = max(left, 1.0) / (count + 2) / step
        self.length = int(np.clip(fair, min(20, self.steps), self.steps))
        self.verdict.numbers["trial_steps"] = self.length
        self.verdict.numbers["steps"] = self.steps

    def go_on(self, rig: Any) -> None:
        """Does training on from where the run stopped still mend it?"""
        shop, case = self.shop, self.case
        start, before = self.run.weights, self.final
        if shop.held_out:
            start, before = self.base_weights, self.base
        step = max(rig.step_seconds, 1e-6)
        spare = 0.25 * (self.until - time.perf_counter()) / step
        more = int(min(max(self.steps, min(400, 10 * self.steps, spare)), 2 * self.length + 400))
        after = shop.try_out(Setting(steps=2.0), steps=more, seed=5, until=self.until, start=start)
        if after is None:
            return
        weight = 0.35 + 0.2 * (case.epochs <= 5) + 0.15 * (case.epochs <= 2)
        weight += 0.15 * (self.steps < 200) + 0.2 * (self.steps < 60)
        suspect = Suspect(
            "too_few_epochs", min(weight, 0.85),
            f"after {case.epochs} epochs ({self.steps} steps) training still improves",
            "training until the curve is flat",
            f"Train longer: epochs={max(3 * case.epochs, 10)}.",
            "fit(epochs=...)", False, "training_length",
            {"before": before.score, "after": after.score},
        )  # fmt: skip
        self.tried.append((Change(suspect, Setting(steps=2.0)), after))

    def one(self, change: Change) -> None:
        out = self.shop.try_out(change.setting, steps=self.length, until=self.until)
        if out is None:
            return
        self.tried.append((change, out))
        if change.setting.rate != 1.0:
            best, rate = out, change.setting.rate
            for _ in range(2):
                if not better(best, self.base) and not self.lost(best):
                    break
                if time.perf_counter() > self.until:
                    break
                rate *= 10.0 if change.setting.rate > 1 else 0.1
                setting = Setting(rate=rate)
                more = self.shop.try_out(setting, steps=self.length, until=self.until)
                if more is None or (more.score <= best.score + 0.01 and not self.lost(more)):
                    break
                best = more
                self.tried.append((Change(change.suspect, setting), more))

    def lost(self, out: Outcome) -> bool:
        return bool(len(out.losses) and not np.isfinite(out.losses[-1]))

    def conclude(self) -> None:
        rows = []
        for change, out in self.tried:
            base = self.base
            if change.suspect.cause == "too_few_epochs" and not self.shop.held_out:
                base = self.final
            d, ratio = gain(out, base)
            if change.setting.balance:
                d = max(d, 0.7 * (out.balanced - base.balanced))
                ratio = max(ratio, (1.02 - base.balanced) / max(1.02 - out.balanced, 0.02))
            w = change.weight
            passed = convincing(d, ratio, w, base.score)
            rows.append((d * (0.25 + w), passed, change, out, d, ratio))
        self.verdict.numbers["trials"] = [
            {"cause": c.suspect.cause, "weight": c.weight, "gain": d, "ratio": ratio,
             "passed": bool(passed), **_numbers(out)}
            for _, passed, c, out, d, ratio in rows
        ]  # fmt: skip
        rows = sorted((row for row in rows if row[1]), key=lambda row: -row[0])
        for _, _, change, out, d, _ in rows:
            if change.suspect.cause in self.verdict.spent:
                continue
            if self.verdict.named and change.weight < 0.6:
                continue
            self.verdict.name(
                change.suspect, confirmed_by_trial=True, gain=d,
                before=self.base.score, after=out.score,
            )  # fmt: skip
            if len(self.verdict.named) >= 2:
                break


def gain(new: Outcome, old: Outcome) -> tuple[float, float]:
    """How much better: difference of scores, and ratio of what is missing to perfection."""
    d = new.score - old.score
    if np.isfinite(new.val):
        d = min(d, new.val - old.val + 0.05)
    return float(d), float((1.02 - old.score) / max(1.02 - new.score, 0.01))


def convincing(d: float, ratio: float, weight: float, before: float) -> bool:
    """Is a gain enough to name the cause?

    Something odd from the start (weight near 1) is named for a small gain; an ordinary
    setting only when the program does badly and another setting does far better.
    """
    if weight < 0.5:
        return d >= 0.2 - 0.1 * weight and ratio >= 1.6 and before < 0.55 + 0.3 * weight
    return d >= 0.14 - 0.13 * weight and ratio >= 1.7 - 0.6 * weight


def better(new: Outcome, old: Outcome) -> bool:
    d, ratio = gain(new, old)
    return d > 0.03 and ratio > 1.15


def _numbers(out: Outcome) -> dict[str, float]:
    return {"train": out.train, "val": out.val, "balanced": out.balanced, "seconds": out.seconds}
