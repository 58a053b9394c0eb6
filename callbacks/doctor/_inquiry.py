"""The trials after one run: in which order, how long, and what they prove."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._plan import Change, plan_changes
from kcnn.callbacks.doctor._record import Run
from kcnn.callbacks.doctor._static_start import learning_rate
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._symptoms import read_symptoms
from kcnn.callbacks.doctor._trials import Outcome, Setting, Workshop
from kcnn.callbacks.doctor._weigh import better, convincing, gain, numbers

__all__ = ["Trial"]


class Trial:
    """The trials after one run."""

    def __init__(self, verdict: Any, run: Run, until: float):
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
        self.verdict.numbers["final"] = numbers(self.final)
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
        self.verdict.numbers["base"] = numbers(self.base)
        if self.case.moving and not shop.held_out and shop.val is not None and shop.val.n >= 40:
            self.clean_rows(rig)
            if self.verdict.named:
                return
        likely = [change for change in changes if change.weight >= 0.6]
        self.each(likely)
        if time.perf_counter() < self.until:
            self.go_on(rig)
        self.each([change for change in changes if change.weight < 0.6])
        self.conclude()
        if not self.verdict.named and self.final.score < 0.5:
            self.fall_back()

    def clean_rows(self, rig: Any) -> None:
        """Is half of the untransformed validation data a better teacher than the pipeline?"""
        rig.reset(self.run.weights)
        before, count = self.shop.half(rig), self.case.val.n // 2
        after = self.shop.try_out(Setting(clean=True), steps=self.length, until=self.until)
        if after is None or after.val - before.val < 0.1 or before.val > 0.85:
            return
        suspect = Suspect(
            "augmentation_breaks_label", 0.9,
            f"trained on {count} untransformed samples the model does better "
            f"({after.val:.2f}) than on the randomly transformed training data "
            f"({before.val:.2f})", "transforms that keep the target",
            "Remove the random transforms one by one from the training pipeline.", "x", False,
            "augmentation", {"before": before.val, "after": after.val},
        )  # fmt: skip
        self.verdict.name(suspect, confirmed_by_trial=True)

    def each(self, changes: list[Change]) -> None:
        for change in changes:
            if time.perf_counter() > self.until:
                break
            self.one(change)

    def fall_back(self) -> None:
        """The program does badly and no trial mended it: the strongest suspicion is named.

        A suspicion that a trial spoke against counts only where nothing is learned at all.
        """
        tried = {change.suspect.cause for change, _ in self.tried}
        lost = self.final.train < 0.15
        others = [
            s
            for s in self.verdict.facts.suspects
            if s.weight >= (0.45 if lost else 0.7) and (lost or s.cause not in tried)
        ]
        helped = [(gain(out, self.base)[0], change.suspect) for change, out in self.tried]
        helped = sorted((h for h in helped if h[0] > 0.08 and lost), key=lambda h: -h[0])
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
        if fair < self.steps:  # the best of them are to be repeated at full length
            fair = 0.5 * fair
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
        """Name what mended the program; short trials are first repeated at full length."""
        short = self.length < self.steps
        rows = sorted((self.weighed(*item) for item in self.tried), key=lambda row: -row["rank"])
        if short:
            for row in [row for row in rows if row["passed"] and row["full"]][:2]:
                if time.perf_counter() < self.until:
                    setting = row["change"].setting
                    out = self.shop.try_out(setting, steps=self.steps, until=self.until)
                    row.update(self.weighed(row["change"], out or row["out"], whole=True))
            rows.sort(key=lambda row: -row["rank"])
        self.verdict.numbers["trials"] = [
            {
                "cause": row["change"].suspect.cause,
                "weight": row["change"].weight,
                "gain": row["gain"],
                "ratio": row["ratio"],
                "passed": bool(row["passed"]),
                **numbers(row["out"]),
            }
            for row in rows
        ]
        for row in rows:
            suspect, after = row["change"].suspect, row["out"].score
            if not row["passed"] or suspect.cause in self.verdict.spent:
                continue
            if self.verdict.named and suspect.weight < 0.6:
                continue
            if short and after < self.final.score + 0.02 and not row["change"].setting.balance:
                continue  # better than the run was at this length, but not than all of it
            self.verdict.name(
                suspect, confirmed_by_trial=True, gain=row["gain"],
                before=self.base.score, after=after,
            )  # fmt: skip
            if len(self.verdict.named) >= 2:
                break

    def weighed(self, change: Change, out: Outcome, *, whole: bool = False) -> dict[str, Any]:
        """One trial against the program as it is."""
        longer = change.suspect.cause == "too_few_epochs"
        base = self.final if whole or (longer and not self.shop.held_out) else self.base
        d, ratio = gain(out, base)
        before = max(base.score, self.final.score)
        passed = convincing(d, ratio, change.weight, before)
        if change.setting.balance:
            d = max(d, 0.7 * (out.balanced - base.balanced))
            ratio = max(ratio, (1.02 - base.balanced) / max(1.02 - out.balanced, 0.02))
            passed = base.balanced < 0.55 and convincing(d, ratio, change.weight, 0.0)
        return {
            "rank": d * (0.25 + change.weight), "passed": passed, "change": change,
            "out": out, "gain": d, "ratio": ratio, "full": not longer,
        }  # fmt: skip
