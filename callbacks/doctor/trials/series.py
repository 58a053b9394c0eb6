"""The trials after a run: which cures are tried, and for how long."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor._ranking import RATES
from kcnn.callbacks.doctor.trials.gain import Gain, convincing, gain_of, hopeless
from kcnn.callbacks.doctor.trials.measure import Outcome
from kcnn.callbacks.doctor.trials.report import NAMED, Trial, TrialReport, report_of
from kcnn.callbacks.doctor.trials.runner import TrialRunner

__all__ = ["run_trials"]

# Causes that keep a network from learning its training rows: their cure must show there.
UNDERFIT = {"lr_too_low", "too_few_epochs", "insufficient_capacity"}
RATE_STEPS = 2  # further factors of ten that are tried where one helps
FAR = 0.3  # gain of another optimizer: a better one always wins something
BALANCED = 0.55  # mean recall above which no class is missing


def run_trials(context: Any, hypotheses: Iterable[Hypothesis], base: Outcome) -> TrialReport:
    """Try the cures of hypotheses, likeliest first; `base` is the program as it is."""
    series = _Series(context, base)
    candidates = series.worthwhile(hypotheses)
    for one in candidates:
        if not one.cure.last:
            series.attempt(one)
    if not any(trial.gain.helps and trial.outcome.score > 0.5 for trial in series.trials):
        for one in candidates:
            if one.cure.last:
                series.attempt(one)
    series.rival_rate()
    series.repeat_best()
    if series.untried:
        context.case.unseen.append(f"{series.untried} changes were not tried: time was up")
    return report_of(context, base, series.trials)


class _Series:
    def __init__(self, context: Any, base: Outcome):
        self.context, self.base = context, base
        self.runner: TrialRunner = context.trials
        self.final: Outcome = context.final
        self.trials: list[Trial] = []
        self.untried = 0

    def worthwhile(self, hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
        """One hypothesis for each cure, the likeliest, whose success could name a cause."""
        best: dict[Any, Hypothesis] = {}
        for one in sorted(hypotheses, key=lambda h: -h.prior):
            if one.cause == "lr_too_low" and self.context.run_lost:
                continue
            if one.cure.balance or not hopeless(one.prior, self.base.score):
                best.setdefault(one.cure, one)
        return list(best.values())

    def attempt(self, one: Hypothesis) -> None:
        """Try one cure; a rate that helps, or is lost, is moved further."""
        if not self.runner.time_left:
            self.untried += 1
            return
        outcome = self.tried(one)
        for _ in range(RATE_STEPS):
            if outcome is None or one.cure.rate == 1.0 or one.cure.optimizer:
                return
            moves = gain_of(outcome, self.base).helps or outcome.lost
            if not (moves and self.runner.time_left):
                return
            factor = 10.0 if one.cure.rate > 1 else 0.1
            further = dataclasses.replace(one.cure, rate=one.cure.rate * factor)
            one = dataclasses.replace(one, cure=further)
            more = self.runner.run(further)
            if more is None or not (more.score > outcome.score + 0.01 or more.lost):
                return
            self.trials.append(self.judged(one, more))
            outcome = more

    def tried(self, one: Hypothesis) -> Outcome | None:
        steps = self.runner.length
        if one.cure.optimizer:  # a rate for all networks is slow for some
            steps = max(steps, min(4 * steps, 3000))
        outcome = self.gone_on(one) if one.cure.longer else self.runner.run(one.cure, steps=steps)
        if outcome is not None:
            self.trials.append(self.judged(one, outcome))
        return outcome

    def gone_on(self, one: Hypothesis) -> Outcome | None:
        """Training from where the run ended; by held-out rows, from where the trial did."""
        runner = self.runner
        steps = min(max(runner.steps, min(400, 10 * runner.steps)), 2 * runner.length + 400)
        start = runner.based if runner.data.held_out else runner.ended
        return runner.run(one.cure, steps=steps, seed=5, start=start)

    def judged(self, one: Hypothesis, outcome: Outcome, *, whole: bool = False) -> Trial:
        """A trial against the program as it is, over the same steps."""
        held_out = self.runner.data.held_out
        whole = whole or one.cure.longer
        base = self.final if whole and not held_out else self.base
        before = base.score if held_out else max(base.score, self.final.score)
        gain = gain_of(outcome, base)
        if one.cause in UNDERFIT:
            learned = max(outcome.train, 0.0) - max(base.train, 0.0) + 0.05
            gain = gain._replace(value=min(gain.value, learned))
        passed = convincing(gain, one.prior, before)
        if one.cure.optimizer:
            passed = passed and gain.value >= FAR and outcome.score >= 0.5
        if one.cure.balance:
            recall = outcome.balanced, base.balanced
            gain = Gain(
                max(gain.value, 0.7 * (recall[0] - recall[1])),
                max(gain.ratio, (1.02 - recall[1]) / max(1.02 - recall[0], 0.02)),
            )
            passed = base.balanced < BALANCED and convincing(gain, one.prior, 0.0)
        return Trial(one, outcome, gain, passed)

    def rival_rate(self) -> None:
        """A rate that is odd in itself against longer training, over as many steps.

        Longer training makes up for much; in a short run a rate's own trial may not tell yet.
        """
        longer = next((t for t in self.trials if t.passed and t.hypothesis.cure.longer), None)
        rates = [t for t in self.trials if t.hypothesis.cause in RATES and not t.passed]
        odd = [t for t in rates if t.hypothesis.certainty is Certainty.LIKELY]
        if longer is None or not odd or not self.runner.time_left:
            return
        rate = max(odd, key=lambda trial: trial.hypothesis.prior)
        steps = self.runner.length if self.runner.data.held_out else self.runner.steps
        outcome = self.runner.run(rate.hypothesis.cure, steps=steps + longer.outcome.steps)
        if outcome is not None and gain_of(outcome, longer.outcome).helps:
            self.trials.remove(longer)
            rate.outcome, rate.gain, rate.passed = outcome, gain_of(outcome, self.base), True

    def repeat_best(self) -> None:
        """The best of short trials once more over the steps of the run, where these are few."""
        self.trials.sort(key=lambda trial: -trial.worth)
        if not self.runner.length < self.runner.steps <= 2 * self.runner.length:
            return
        best = [t for t in self.trials if t.passed and not t.hypothesis.cure.longer]
        for trial in best[:NAMED]:
            outcome = self.runner.run(trial.hypothesis.cure, steps=self.runner.steps)
            if outcome is not None and self.runner.time_left:
                at = self.trials.index(trial)
                self.trials[at] = self.judged(trial.hypothesis, outcome, whole=True)
        self.trials.sort(key=lambda trial: -trial.worth)
