"""Step 5: longer trainings around the best trial, with warmup and cosine decay."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.callbacks import Finding
from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.context import Context
from kcnn.recipe.fine_tuning import best_regime, fine_tune
from kcnn.recipe.long_run import (
    LongRun,
    best_of,
    refine_length,
    run_folder,
    seconds_per_update,
    trained,
)
from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.step import Outcome, Step
from kcnn.recipe.steps.search import Searched, Trial
from kcnn.recipe.training import Score
from kcnn.recipe.transfer import FeatureData
from kcnn.report import Block, Cell, Columns, Findings, Heading, Note, Row, Table
from kcnn.report.axes import numbers
from kcnn.report.trials import schedules_plot
from kcnn.report.words import duration, loss, num, percent, rate, setting

__all__ = ["LongRun", "Refine", "Refined", "best_weights"]

SPREAD = 2.0  # later runs draw rate and decay within this factor of the best trial's
FULL = 0.5  # of the best trial's updates: what ended earlier was given up


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
        runs = [trained(context, i, hp, len(candidates)) for i, hp in enumerate(candidates)]
        regimes, best = None, best_of(runs, context.data.val_images)
        if isinstance(context.data, FeatureData):
            tuned, note = fine_tune(context, context.data, runs)
            runs += [tuned] if tuned else []
            best = best_regime(best, tuned, context.data.val_images)
            advised = context.data.transfer.regime
            regimes = Regimes(advised.name, advised.reason, note)
        result = Refined(tuple(runs), runs.index(best) if best else None, regimes)
        search = context.results["search"]
        return Outcome(result, (judge_refinement(best, search.best_trial),))

    def expected_seconds(self, context: Context) -> float | None:
        speed = seconds_per_update(context)
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
        names = list(dict.fromkeys(name for run in result.runs for name in run.hp))
        columns = ("Run", *(n.replace("_", " ").capitalize() for n in names))
        columns += ("Best epoch", "Val. loss", "Val. accuracy")
        rows = []
        for i, run in enumerate(result.runs):
            cells: tuple[Cell | str, ...] = (
                str(i + 1),
                *(setting(run.hp.get(n)) for n in names),
                f"{num(run.best_epoch)} of {num(run.epochs)}",
                Cell(loss(run.val_loss), run.val_loss),
                Cell(percent(run.val_accuracy), run.val_accuracy),
            )
            rows.append(Row(cells, "best" if i == result.best else ""))
        numeric = frozenset(range(1, len(columns)))
        keys = [accuracy_key(run.history) for run in result.runs]
        curves = [
            (
                f"run {i + 1}{run.regime and ', ' + run.regime}: "
                f"rate {rate(run.hp.get('learning_rate'))}",
                numbers(run.history.get(f"val_{key or 'loss'}")),
                numbers(run.history.get("learning_rate")),
            )
            for i, (run, key) in enumerate(zip(result.runs, keys, strict=True))
        ]
        drawn = schedules_plot(curves, best=result.best, accuracy=any(keys))
        plot = (drawn,) if drawn else ()
        return [
            Columns((plot, (Findings(findings), *_regimes(result))), wide=True),
            Table("Longer runs", columns, tuple(rows), numeric),
        ]


def best_weights(state: Path, result: Refined) -> list[np.ndarray]:
    """The weights of the best epoch of the best run, in the order of `model.get_weights()`."""
    run = result.best_run
    if run is None or run.best_epoch is None:
        raise ValueError("best_weights: no longer training has come to an end.")
    return Checkpoint.best_weights(run_folder(state, result.best or 0), run.best_epoch)


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


def _regimes(result: Refined) -> list[Block]:
    """The two ways to transfer side by side: the best run of each."""
    if result.regimes is None:
        return []
    found: dict[str, Any] = {}
    for run in result.runs:
        best = found.get(run.regime)
        if best is None or run is result.best_run or (run.score and best.score is None):
            found[run.regime] = run
    measures: dict[str, Callable[[Any], str]] = {
        "Validation accuracy": lambda run: percent(run.val_accuracy),
        "Validation loss": lambda run: loss(run.val_loss),
        "Learning rate": lambda run: rate(run.hp.get("learning_rate")),
        "Epochs": lambda run: num(run.epochs),
        "Time": lambda run: duration(run.seconds),
    }
    rows = tuple(Row((w, *(told(run) for run in found.values()))) for w, told in measures.items())
    columns = ("", *(name.capitalize() for name in found))
    words = f"Recommended by the data: {result.regimes.reason}"
    notes = [Note(words)] + ([Note(f"{result.regimes.note}.")] if result.regimes.note else [])
    table = Table("Frozen or fine-tuned", columns, rows, frozenset(range(1, len(columns))))
    return [Heading(table.label), table, *notes]
