"""After the run: how it ended, what that shows, and which change would have mended it."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.doctor._deadline import Deadline
from kcnn.callbacks.doctor._hypothesis import Certainty
from kcnn.callbacks.doctor._ranking import BADLY, EXCUSED
from kcnn.callbacks.doctor._run import Run
from kcnn.callbacks.doctor.interventions import AS_IT_IS
from kcnn.callbacks.doctor.program.rates import step_rates
from kcnn.callbacks.doctor.program.rows import on_tensorflow
from kcnn.callbacks.doctor.trials.gain import gain_of
from kcnn.callbacks.doctor.trials.report import NOTHING, TrialReport
from kcnn.callbacks.doctor.trials.runner import TrialRunner
from kcnn.callbacks.doctor.trials.series import run_trials

__all__ = ["TRIAL_STEPS", "judge_run"]

TRIAL_STEPS = 600  # of a trial: changes that matter part from their rival earlier (tuning half)
NO_SKILL = 3  # standard deviations above chance under which nothing is known
BRIEF = 30  # steps in which nothing may be learned yet
SETTLED = 0.95  # score of a run, validation rows too, with which no check would name a cause
PART = 0.5  # of the classes that a draw would hold: fewer among validation rows are no draw
HELPED = 0.08  # gain that speaks for a change where nothing is learned without it


def judge_run(context: Any, run: Run, *, until: Deadline) -> TrialReport:
    """What the end of a run and trials say; hypotheses go into `context.found`."""
    proven = [h for h in context.found if h.is_proven and h.cause != "wrong_metric"]
    if any(one.cause not in EXCUSED for one in proven) or not _open(context, run, until):
        return TrialReport()
    if proven:
        if _does_well(context):
            for at, one in enumerate(context.found):
                if one in proven:
                    context.found[at] = dataclasses.replace(one, certainty=Certainty.POSSIBLE)
        return _numbers(context, TrialReport())
    if context.trials.data.held_out:
        _base(context)
    elif context.final.score >= SETTLED:
        return _numbers(context, TrialReport())
    context.start, context.now = context.trials.reading(), context.trials.reading(run.weights)
    context.history = run.history
    curves = list(context.hypotheses("run"))
    ends = list(context.hypotheses("end"))
    if any(one.is_proven for one in ends):  # what explains the curves is not told twice
        context.found[:] = [one for one in context.found if one not in curves]
    if any(one.is_proven for one in curves + ends):
        return _numbers(context, TrialReport())
    if not context.trials.data.held_out and context.trials.length < context.trials.steps:
        _base(context)
    report = run_trials(context, [h for h in context.found if h.cure], context.base)
    if not (report.confirmed or report.warnings):
        _fall_back(context, report)
    return _numbers(context, report)


def _open(context: Any, run: Run, until: Deadline) -> bool:
    """Make copies ready, and measure how the run ended; False where there can be none."""
    case, steps = context.case, max(run.steps, 1)
    rates = step_rates(context.model.optimizer, run.rates, steps)
    runner = TrialRunner(
        context, rates=rates, steps=steps, length=min(steps, TRIAL_STEPS), until=until
    )
    trainer = runner.trainer()
    if trainer is None:
        return False
    if not on_tensorflow():
        case.unseen.append(f"gradients of the layers: not read on {keras.config.backend()}")
    if run.cut:
        case.notes.append(f"the run was cut by the budget after {run.steps} steps")
    runner.ended = runner.values(trainer, run.weights)
    context.trials, context.run, context.history = runner, run, run.history
    context.final = context.base = runner.ended_outcome()
    return True


def _base(context: Any) -> None:
    """The program as it is, as long as a trial."""
    trainer = context.trials.trainer()
    context.base = context.trials.run(AS_IT_IS) or context.base
    context.trials.based = trainer.values()


def _does_well(context: Any) -> bool:
    """The run ended with (nearly) all answers right, on validation rows too.

    Validation rows of a part of the classes can't tell: those of the others are not asked.
    """
    final, task, data = context.final, context.task, context.trials.data
    if task is not None and task.exclusive:
        if data.val is not None:
            shares = np.bincount(task.classes_of(data.train.y)) / data.train.n
            drawn = (1 - (1 - shares) ** data.val.n).sum()  # classes in as many rows by chance
            if len(np.unique(task.classes_of(data.val.y))) < PART * drawn:
                return False
        return final.train >= 0.9 and not final.val < 0.9 and final.balanced >= 0.95
    return final.train >= 0.95 and not final.val < 0.95


def _fall_back(context: Any, report: TrialReport) -> None:
    """The program does badly and no trial mended it: the strongest suspicion is named.

    One that a trial spoke against is not: it is named only where nothing is learned at all,
    with or without its cure, so that the trial told nothing.
    """
    for one in context.found:
        if one.check == "label_agreement" and _above_chance(context) < NO_SKILL:
            report.confirmed.append(one.finding("failure"))
            return
    if context.by_loss or not context.base.score < BADLY:  # how low a loss can get is not known
        return
    nothing = context.final.train < NOTHING
    left = [
        one
        for one in sorted(context.found, key=lambda h: -h.prior)
        if one.prior >= (0.45 if nothing else 0.7)
        and one.key not in report.refuted
        and not (one.stage == "end" and one.certainty is Certainty.POSSIBLE)
    ]
    if not left and nothing:
        helped = [(gain_of(t.outcome, context.base).value, t.hypothesis) for t in report.trials]
        helped = sorted((h for h in helped if h[0] > HELPED), key=lambda h: -h[0])
        left = [one for _, one in helped]
    if left:
        report.confirmed.append(left[0].finding("failure", confirmed_by_trial=False))
    elif (
        context.task is not None
        and context.trials.steps > BRIEF
        and not context.run.cut
        and (context.trials.data.held_out or context.final.score < BADLY)
        and _above_chance(context) < NO_SKILL
    ):
        report.warnings.append(_nothing_learned(context))


def _nothing_learned(context: Any) -> Finding:
    rows = "validation rows" if context.case.val is not None else "rows that it has not seen"
    return Finding(
        "skill", "warning",
        f"after {context.trials.steps} steps {rows} are answered no better than by a constant, and "
        f"no change that was tried helps", "answers better than the best constant",
        "Check that inputs and targets belong together: print 20 rows of both as fit gets them.",
        evidence=context.base.numbers(),
    )  # fmt: skip


def _above_chance(context: Any) -> float:
    """How far the rows that judge are answered better than by chance, in z."""
    data, base = context.trials.data, context.base
    rows = data.look if data.val is None else data.val
    skill = base.balanced
    if context.task is None or not context.task.exclusive:
        skill = np.sqrt(max(base.val, 0.0)) if np.isfinite(base.val) else 0.0
    return float(skill * np.sqrt(rows.n))


def _numbers(context: Any, report: TrialReport) -> TrialReport:
    trials = context.trials
    report.numbers.update(
        final=context.final.numbers(), base=context.base.numbers(), steps=trials.steps,
        trial_steps=trials.length,
    )  # fmt: skip
    return report
