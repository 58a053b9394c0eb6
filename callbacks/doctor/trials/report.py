"""What the trials of a run prove: causes to name, and what they refute."""

import dataclasses
import math
from typing import Any

import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._hypothesis import Certainty, Hypothesis
from kcnn.callbacks.doctor._ranking import BADLY, PATIENCE, RATES, loss_falls
from kcnn.callbacks.doctor.interventions import AS_IT_IS
from kcnn.callbacks.doctor.trials.gain import Gain, convincing, gain_of
from kcnn.callbacks.doctor.trials.measure import Outcome

__all__ = ["NAMED", "NOTHING", "Trial", "TrialReport", "report_of"]

NAMED = 2  # causes that are named at most: what a third change wins is mostly theirs
SURE = 0.15  # a gain that two seeds do not differ by; a smaller one must come again
NOTHING = 0.15  # skill under which nothing is learned: there a trial that wins nothing is no proof
SHORT = 200  # steps of a run: fewer are few, see `training_length`
STEADY = 0.75  # of the epochs lower than the one before: a loss that falls as it should
LEARNS = 0.3  # skill on training rows of a run that is on its way
KEPT = 0.02  # a trial shorter than the run must end better than the run by this


@dataclasses.dataclass
class Trial:
    """One cure, tried, and what it won."""

    hypothesis: Hypothesis
    outcome: Outcome
    gain: Gain
    passed: bool

    @property
    def worth(self) -> float:
        """What orders cures: gain, by how likely the hypothesis was."""
        return self.gain.value * (0.25 + self.hypothesis.prior)


@dataclasses.dataclass
class TrialReport:
    """What trials say: causes to name, notes on what they refute (by key), warnings, numbers."""

    confirmed: list[Finding] = dataclasses.field(default_factory=list)
    refuted: dict[Any, Finding] = dataclasses.field(default_factory=dict)
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    trials: list[Trial] = dataclasses.field(default_factory=list)
    warnings: list[Finding] = dataclasses.field(default_factory=list)


def report_of(context: Any, base: Outcome, trials: list[Trial]) -> TrialReport:
    """Name the causes whose cures won; `trials` stand in order of their worth."""
    report = TrialReport(trials=trials)
    report.numbers["trials"] = [
        {
            "check": trial.hypothesis.check,
            "cause": trial.hypothesis.cause,
            "prior": trial.hypothesis.prior,
            "tried": trial.hypothesis.cure.tried(context.rate),
            "gain": trial.gain.value,
            "ratio": trial.gain.ratio,
            "passed": trial.passed,
            "steps": trial.outcome.steps,
            **trial.outcome.numbers(),
        }
        for trial in trials
    ]
    named: set[str] = set()
    for trial in _in_turn(trials):
        if len(report.confirmed) < NAMED and _names(context, base, trial, trials, named):
            early = _only_early(context, trial)
            told = _told(context, base, trial, "warning" if early else "failure")
            if early:
                steps = f"usual, but in a run of {context.trials.steps} steps a lower one wins"
                told = dataclasses.replace(told, seen=f"{told.seen}: {steps}")
            (report.warnings if early else report.confirmed).append(told)
            cause = trial.hypothesis.cause
            named |= RATES if cause in RATES else {cause}
    if context.final.train >= NOTHING:
        helped = {trial.hypothesis.key for trial in trials if trial.passed}
        for trial in reversed(trials):  # the best one of a hypothesis speaks
            one = trial.hypothesis
            if one.key not in helped and one.cause not in named:
                note = _told(context, base, trial, "note")
                report.refuted[one.key] = dataclasses.replace(note, advice="")
    return report


def _in_turn(trials: list[Trial]) -> list[Trial]:
    """Longer training mends much: it waits for what is odd in itself, and helps within the run."""
    odd = any(t.passed and t.hypothesis.certainty is Certainty.LIKELY for t in trials)
    return sorted(trials, key=lambda trial: odd and trial.hypothesis.cure.longer)


def _names(context: Any, base: Outcome, trial: Trial, trials: list[Trial], named: set[str]) -> bool:
    one, cure, runner = trial.hypothesis, trial.hypothesis.cure, context.trials
    if not trial.passed or one.cause in named or (named and one.prior < 0.6):
        return False
    if _yields(trial, trials, runner.steps, _on_course(context)):
        return False
    reached = base.score if runner.data.held_out else context.final.score
    short = runner.length < runner.steps
    if short and trial.outcome.score < reached + KEPT and not cure.balance:
        return False  # better than the run was at this length, but not than all of it
    return _comes_again(context, base, trial)


def _yields(trial: Trial, trials: list[Trial], steps: int, on_course: bool = False) -> bool:
    """Whether longer training, which helps too, is the better name.

    Transforms that only slow training down are no fault where it comes as far with them; nor is
    an ordinary rate too low in a run that is short at any rate, or whose loss falls as it should.
    """
    one, longer = trial.hypothesis, [t for t in trials if t.passed and t.hypothesis.cure.longer]
    if one.cause == "augmentation_breaks_label":
        return any(rival.outcome.score >= trial.outcome.score - KEPT for rival in longer)
    ordinary = one.cause == "lr_too_low" and not one.cure.optimizer
    if ordinary and one.certainty is Certainty.POSSIBLE and on_course:
        return True
    return ordinary and one.stage == "end" and steps < SHORT and bool(longer)


def _on_course(context: Any) -> bool:
    """Whether the loss falls from epoch to epoch, and half of what is to be learned is.

    The logged loss tells it too: the skills are those of inference, where averages of
    BatchNormalization may lag behind.
    """
    losses = np.asarray(context.history.get("loss", ()), "float64")
    if len(losses) < PATIENCE or not np.isfinite(losses).all():
        return False
    learned = max(context.final.train, 1 - losses[-1] / losses[0] if losses[0] > 0 else 0.0)
    return bool(np.mean(np.diff(losses) < 0) >= STEADY and learned >= BADLY)


def _only_early(context: Any, trial: Trial) -> bool:
    """An ordinary rate with which a short run learns, though it learns faster at a lower one.

    What is best in few steps need not be in many, and the run may be a first try.
    """
    one, run = trial.hypothesis, context.run
    ordinary = one.cause == "lr_too_high" and one.stage == "end" and not one.cure.optimizer
    on_its_way = context.final.train > LEARNS and loss_falls(run.history.get("loss", []))
    return ordinary and context.trials.steps < SHORT and on_its_way


def _comes_again(context: Any, base: Outcome, trial: Trial) -> bool:
    """A small gain must come again with another seed."""
    cure = trial.hypothesis.cure
    if trial.gain.value >= SURE or cure.longer or cure.balance:
        return True
    unchanged = context.trials.run(AS_IT_IS, seed=11)
    again = context.trials.run(cure, seed=11)
    if unchanged is None or again is None:
        return True
    second = gain_of(again, unchanged)
    mean = Gain(0.5 * (second.value + trial.gain.value), 0.5 * (second.ratio + trial.gain.ratio))
    return convincing(mean, trial.hypothesis.prior, base.score)


def _told(context: Any, base: Outcome, trial: Trial, severity: str) -> Finding:
    """A trial's hypothesis, with the very change that was tried as advice."""
    one, cure = trial.hypothesis, trial.hypothesis.cure
    advice = cure.advice(context.rate, context.optimizer_name) or one.advice
    if cure.longer:  # the run, and the trial that went on from its end
        steps = context.trials.steps
        epochs = math.ceil((steps + trial.outcome.steps) * context.case.epochs / steps)
        advice = f"Train longer: epochs={epochs}."
    return dataclasses.replace(one, advice=advice).finding(
        severity, confirmed_by_trial=severity != "note", gain=trial.gain.value,
        before=base.score, after=trial.outcome.score, trial_steps=trial.outcome.steps,
        run_steps=context.trials.steps, tried=cure.tried(context.rate), by_loss=context.by_loss,
    )  # fmt: skip
