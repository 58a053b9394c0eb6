"""The trials after one run: in which order, how long, and what they prove."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._afterwards import both_scales, other_optimizer
from kcnn.callbacks.doctor._asides import clean_rows, own_step
from kcnn.callbacks.doctor._conclude import conclude, fall_back
from kcnn.callbacks.doctor._labels import judge_meaning, judge_rows
from kcnn.callbacks.doctor._plan import Change, plan_changes
from kcnn.callbacks.doctor._run import Run
from kcnn.callbacks.doctor._setting import Outcome, Setting
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._symptoms import read_symptoms
from kcnn.callbacks.doctor._trials import Workshop
from kcnn.callbacks.doctor._weigh import better, hopeless, numbers
from kcnn.callbacks.doctor.program.rates import step_rates

__all__ = ["Trial"]


class Trial:
    """The trials after one run."""

    def __init__(self, verdict: Any, run: Run, until: float):
        self.verdict, self.run, self.until = verdict, run, until
        facts = verdict.facts
        self.case, self.task = facts.case, facts.task
        self.steps = max(run.steps, 1)
        rates = step_rates(verdict.model.optimizer, run.rates, self.steps)
        self.shop = Workshop(
            verdict.model, self.case, self.task, facts.head, facts.loss,
            graph=facts.graph, rates=rates, steps=self.steps, own_val=True,
        )  # fmt: skip
        self.tried: list[tuple[Change, Outcome]] = []
        self.final: Outcome
        self.base: Outcome
        self.setup = 1.0

    def go(self) -> None:
        shop, run, facts = self.shop, self.run, self.verdict.facts
        trainer = shop.trainer(Setting())
        if trainer is None:
            self.case.unseen.append(
                "no change was tried: the model cannot be rebuilt from its configuration"
            )
            return
        if run.cut:
            self.case.notes.append(f"the run was cut by the budget after {run.steps} steps")
        self.look_at_end(trainer)
        symptoms = read_symptoms(trainer, shop, run, self.final)
        facts.suspects[:] = sorted(facts.suspects + symptoms, key=lambda s: -s.weight)
        labels = None if shop.held_out else judge_meaning(facts, self.known_skill)
        if labels is not None and labels.weight > 0.9:
            self.verdict.name(labels)
            return
        if any(s.firm and s.cause != "wrong_metric" for s in symptoms):
            self.compare_rows(trainer)
            return
        if type(self.verdict.model).train_step is not keras.Model.train_step:
            own_step(self)
            return
        changes = plan_changes(shop, facts.suspects, "batch_size" in self.case.kwargs)
        if not shop.held_out:
            changes = self.promising(changes)
            if not changes and hopeless(0.85, self.base.score) and not self.case.moving:
                self.compare_rows(trainer)
                return
        self.pace(trainer, len(changes) + 1)
        if shop.held_out or (self.length < self.steps and changes):
            self.base = shop.try_out(Setting(), steps=self.length, until=self.until) or self.base
            self.base_weights = trainer.values()
        self.verdict.numbers["base"] = numbers(self.base)
        if shop.held_out:
            changes = self.promising(changes)
            labels = judge_meaning(facts, self.base.val)
        if self.compare_rows(trainer):
            return
        if self.case.moving and not shop.held_out and shop.val is not None and shop.val.n >= 40:
            clean_rows(self, trainer)
            if self.verdict.named:
                return
        self.each([change for change in changes if change.weight >= 0.6])
        whole = not run.cut and np.all(np.isfinite(self.ended_losses))
        if whole and time.perf_counter() < self.until:
            self.go_on(trainer)
        self.each([change for change in changes if change.weight < 0.6])
        both_scales(self)
        other_optimizer(self)
        conclude(self)
        if labels is not None and not self.verdict.named and self.above_chance < 3:
            self.verdict.name(labels)
        if not self.verdict.named and self.base.score < 0.5:
            fall_back(self)

    def look_at_end(self, trainer: Any) -> None:
        """Skills with the weights that the run ended with."""
        self.ended = self.shop.values(trainer, self.run.weights)
        trainer.reset(self.ended)
        self.final = self.base = self.shop.measure(trainer)
        self.verdict.numbers["final"] = numbers(self.final)

    def does_well(self) -> bool:
        """The run ended with (nearly) all answers right, on validation rows too."""
        trainer = self.shop.trainer(Setting())
        if trainer is None:
            return False
        self.look_at_end(trainer)
        if self.shop.labels is not None and self.task.kind in ("binary", "multiclass"):
            right = self.final.train >= 0.9 and not self.final.val < 0.9
            return right and self.final.balanced >= 0.95
        return self.final.train >= 0.95 and not self.final.val < 0.95

    @property
    def above_chance(self) -> float:
        """How far the rows that judge are answered better than by chance, in z."""
        rows = self.shop.look if self.shop.val is None else self.shop.val
        skill = self.base.balanced
        if self.shop.labels is None:
            skill = np.sqrt(max(self.base.val, 0.0)) if np.isfinite(self.base.val) else 0.0
        return float(skill * np.sqrt(rows.n))

    @property
    def known_skill(self) -> float:
        return self.final.val if np.isfinite(self.final.val) else self.final.train

    def promising(self, changes: list[Change]) -> list[Change]:
        """Changes whose success could still name a cause: with a good score few can."""
        score, blown = self.base.score, not np.all(np.isfinite(self.ended_losses))
        if blown:
            changes = [c for c in changes if c.suspect.cause != "lr_too_low"]
        return [c for c in changes if c.setting.balance or not hopeless(c.weight, score)]

    @property
    def ended_losses(self) -> list[float]:
        """The last loss of the run; empty when no epoch was finished."""
        return self.run.history.get("loss", [])[-1:]

    def compare_rows(self, trainer: Any) -> bool:
        """Held-out training rows against validation rows; True when that named a cause."""
        steps = getattr(self, "length", self.steps)
        found = judge_rows(self.verdict.facts, self.shop, self.final, steps=steps, until=self.until)
        if found is not None:
            for suspect in self.verdict.facts.suspects:
                suspect.firm = suspect.firm and suspect.cause == "wrong_metric"
            self.verdict.name(found, confirmed_by_trial=True)
        return found is not None

    def each(self, changes: list[Change]) -> None:
        for change in changes:
            if time.perf_counter() + self.setup > self.until:
                break
            self.one(change)

    def pace(self, trainer: Any, count: int) -> None:
        """How many steps each trial may take."""
        begin = time.perf_counter()
        self.shop.try_out(Setting(), steps=min(self.steps, 12))
        self.setup = time.perf_counter() - begin
        step = max(trainer.step_seconds, 1e-6)
        left = self.until - time.perf_counter() - self.setup * count
        fair = max(left, 1.0) / (count + 2) / step
        if fair < self.steps:  # the best of them are to be repeated at full length
            fair = 0.5 * fair
        self.length = int(np.clip(fair, min(20, self.steps), self.steps))
        self.verdict.numbers["trial_steps"] = self.length
        self.verdict.numbers["steps"] = self.steps

    def go_on(self, trainer: Any) -> None:
        """Does training on from where the run stopped still mend it?"""
        shop, case = self.shop, self.case
        weight = 0.35 + 0.2 * (case.epochs <= 5) + 0.15 * (case.epochs <= 2)
        if not (case.batch_size > 64 and case.batch_size * 4 >= case.train.n):
            weight += 0.15 * (self.steps < 200) + 0.2 * (self.steps < 60)
        if hopeless(min(weight, 0.7), self.base.score):
            return
        start, before = self.ended, self.final
        if shop.held_out:
            start, before = self.base_weights, self.base
        step = max(trainer.step_seconds, 1e-6)
        spare = 0.25 * (self.until - time.perf_counter()) / step
        more = int(min(max(self.steps, min(400, 10 * self.steps, spare)), 2 * self.length + 400))
        after = shop.try_out(Setting(steps=2.0), steps=more, seed=5, until=self.until, start=start)
        if after is None:
            return
        suspect = Suspect(
            "too_few_epochs", min(weight, 0.7),
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
