"""Step 5: longer trainings around the best trial, with warmup and cosine decay."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.callbacks import Finding
from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.fine_tuning import FROZEN, fine_tune
from kcnn.recipe.long_run import LongRun, best_of, planned, run_folder, train_long
from kcnn.recipe.results import read_result
from kcnn.recipe.step import Context, Outcome, Step
from kcnn.recipe.steps.refine_page import refine_page
from kcnn.recipe.steps.search import Searched, Trial
from kcnn.recipe.training import Length, Score, length_of
from kcnn.recipe.transfer import FeatureData
from kcnn.report import Block
from kcnn.report.words import duration, rate

__all__ = ["LongRun", "Refine", "Refined", "best_weights"]

SPREAD = 2.0  # later runs draw rate and decay within this factor of the best trial's
FULL = 0.5  # of the best trial's updates: what ended earlier was given up
TIME_KEPT = 0.1  # of the time left at most, for scoring, export and the page
HEAD_SHARE = 0.25  # of the time, for heads on a frozen backbone's features
FINISH = 15.0  # seconds that these take apart from the test images


@dataclass(frozen=True)
class Regimes:
    """Frozen or fine-tuned: what the data recommend, and why one was not tried, if so."""

    recommended: str
    reason: str
    note: str = ""


@dataclass(frozen=True)
class Refined:
    """The longer trainings and the index of the best one."""

    runs: tuple[LongRun, ...]
    best: int | None
    regimes: Regimes | None = None

    @property
    def best_run(self) -> LongRun | None:
        """The best longer training."""
        return None if self.best is None else self.runs[self.best]


class Refine(Step[Refined]):
    """The step of the recipe."""

    name = "refine"
    title = "Refine and train longer"
    purpose = (
        "The best settings, those of another size and neighbours, longer, with warmup and cosine "
        "decay. The best epoch is kept."
    )
    needs = ("search", "learning_rates")
    Result = Refined

    def run(self, context: Context) -> Outcome[Refined]:
        """Train the best settings longer, then neighbours of them; keep the best epoch of all.

        Each epoch ends with a checkpoint, so an interrupted run goes on where it was.
        """
        candidates = _candidates(context)
        runs = [_trained(context, i, hp, len(candidates)) for i, hp in enumerate(candidates)]
        regimes = None
        if isinstance(context.data, FeatureData):
            tuned, note = fine_tune(context, context.data, runs)
            runs += [tuned] if tuned else []
            advised = context.data.transfer.regime
            regimes = Regimes(advised.name, advised.reason, note)
        best = best_of(runs, context.data.val_images)
        result = Refined(tuple(runs), runs.index(best) if best else None, regimes)
        search = context.results["search"]
        return Outcome(result, (judge_refinement(best, search.best_trial),))

    def expected_seconds(self, context: Context) -> float | None:
        speed = _seconds_per_update(context)
        if speed is None:
            return None
        found = context.results.get("search")
        hp = found.best_trial.hp if found and found.best_trial else context.hp
        return context.budget.refine_runs * speed * refine_length(context, hp["batch_size"]).total

    def usable(self, result: Refined) -> bool:
        return result.best is not None

    def lines(self, result: Refined) -> Iterable[Any]:
        if result.regimes is None:
            return ()
        told = [
            f"    {run.regime}: {run.score.told() if run.score else 'diverged'} "
            f"in {duration(run.seconds)}"
            for run in result.runs
        ]
        return (*told, *([f"    {result.regimes.note}"] if result.regimes.note else []))

    def page(self, result: Refined, findings: Sequence[dict[str, Any]]) -> list[Block]:
        return refine_page(result, findings)


def best_weights(state: Path, result: Refined) -> list[np.ndarray]:
    """The weights of the best epoch of the best run, in the order of `model.get_weights()`."""
    run = result.best_run
    if run is None or run.best_epoch is None:
        raise ValueError("best_weights: no longer training has come to an end.")
    return Checkpoint.best_weights(run_folder(state, result.best or 0), run.best_epoch)


def _trained(context: Context, index: int, hp: dict[str, Any], count: int) -> LongRun:
    """Longer training number `index`, or what it gave in an earlier sitting."""
    folder = run_folder(context.state, index)
    row = Checkpoint.row(folder)
    if row is not None:
        return read_result(LongRun, row)
    length = planned(folder, refine_length(context, int(hp["batch_size"])))
    assert length is not None
    seconds = None if isinstance(context.data, FeatureData) else seconds_for(context)
    return train_long(
        context.models.fresh(hp),
        context.data,
        hp,
        length,
        folder=folder,
        purpose=f"refine {index}",
        title=f"refining, run {index + 1} of {count}",
        display=context.display,
        logs=context.logs,
        regime=FROZEN if isinstance(context.data, FeatureData) else "",
        seconds=seconds,
    )


def _candidates(context: Context) -> list[dict[str, Any]]:
    best = context.results["search"].best_trial
    rng = np.random.default_rng(context.settings.seed)
    found = [dict(best.hp)]
    runs = 1 if context.clock.limit is not None else context.budget.refine_runs
    if runs > 1:
        found += [dict(trial.hp) for trial in _of_another_size(context.results["search"], best)]
    for _ in range(runs - len(found)):
        near = dict(best.hp)
        for name in ("learning_rate", "weight_decay"):
            factor = SPREAD ** rng.uniform(-1, 1)
            if near.get(name):
                near[name] = near[name] * factor
        found.append(near)
    return found


def _of_another_size(search: Searched, best: Trial) -> list[Trial]:
    """The best trial of another width: small networks are ahead in short trainings only."""
    others = [
        trial
        for trial in search.trials
        if trial.val_loss is not None
        and math.isfinite(trial.val_loss)
        and trial.updates >= best.updates * FULL
        and trial.hp.get("width") != best.hp.get("width")
    ]
    return sorted(others, key=lambda trial: trial.val_loss or 0.0)[:1]


def refine_length(context: Context, batch_size: int) -> Length:
    """How long a run trains: the budget's updates, or what the time allows."""
    least, most = context.budget.refine_epochs
    updates = context.budget.refine_updates
    speed = _seconds_per_update(context)
    seconds = seconds_for(context)
    if seconds is not None and speed:
        allowed = max(10, round(seconds / speed))
        if isinstance(context.data, FeatureData):  # heads are quick; the rest is fine-tuning's
            updates = min(updates, round(HEAD_SHARE * allowed) + 10)
        else:
            updates, least, most = allowed, 1, 10_000
    per_pass = context.updates_per_pass(batch_size)
    return length_of(updates, per_pass, least=least, most=most, looks=10)


def seconds_for(context: Context) -> float | None:
    """Of the time that is left, what the longer training may take."""
    left = context.clock.left
    return None if left is None else max(1.0, left - min(TIME_KEPT * left, FINISH))


def _seconds_per_update(context: Context) -> float | None:
    """Of the best trial, validation included; else of the sweep."""
    search, rates = context.results.get("search"), context.results.get("learning_rates")
    best: Trial | None = search.best_trial if search else None
    if best is not None and best.updates and best.seconds:
        return best.seconds / best.updates
    return rates.seconds_per_update if rates else None


def judge_refinement(best: LongRun | None, coarse: Trial) -> Finding:
    """Ok when the longer training beats the search, or ends where nothing was searched."""
    before = Score(math.inf if coarse.val_loss is None else coarse.val_loss, coarse.val_accuracy)
    searched = math.isfinite(before.loss)
    expected = f"better than the search: {before.told()}" if searched else "a finite loss"
    score = best.score if best else None
    if best is None or score is None:
        return Finding(
            "refinement",
            "failure",
            seen="every longer training diverged",
            expected=expected,
            advice="Lower the learning rate or lengthen the warmup.",
            cause="lr_too_high",
            where="learning_rate",
        )
    seen = (
        f"{score.told()} in epoch {best.best_epoch} of {best.epochs} at rate "
        f"{rate(best.hp['learning_rate'])}"
    )
    gain = (score.accuracy or 0.0) - (before.accuracy or 0.0)
    nothing_left = before.accuracy == 1.0 and score.accuracy == 1.0
    better = score.loss < before.loss or gain > 0 or nothing_left
    advice = "Longer training did not help: look at the curves for overfitting first."
    return Finding(
        "refinement",
        "ok" if better else "warning",
        seen=seen,
        expected=expected,
        advice="" if better else advice,
        evidence={"val_accuracy": score.accuracy, "val_loss": score.loss, "gain": gain},
    )
