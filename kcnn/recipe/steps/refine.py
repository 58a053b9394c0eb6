"""Step 5: longer trainings around the best trial, with warmup and cosine decay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.callbacks import Finding
from kcnn.recipe.checkpoint import BestWeights, Checkpoint
from kcnn.recipe.files import read_json, write_json
from kcnn.recipe.results import read_result
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.step import Context, Outcome, Step
from kcnn.recipe.steps.refine_plot import refine_plot
from kcnn.recipe.steps.search import Searched, Trial
from kcnn.recipe.steps.search_page import hp_words
from kcnn.recipe.training import Length, Score, fit, is_better, length_of, standard_error
from kcnn.report import Block, Cell, Columns, Findings, Row, Table
from kcnn.report.words import loss, num, percent, rate

__all__ = ["LongRun", "Refine", "Refined", "best_weights"]

WARMUP_SHARE = 0.05  # of all updates
SPREAD = 2.0  # later runs draw rate and decay within this factor of the best trial's
FULL = 0.5  # of the best trial's updates: what ended earlier was given up
TIME_KEPT = 0.1  # of the time left, for scoring, export and the page


@dataclass(frozen=True)
class LongRun:
    """One longer training: its settings, curves and best epoch (from 1)."""

    hp: dict[str, Any]
    epochs: int
    updates: int
    history: dict[str, tuple[float | None, ...]]
    best_epoch: int | None
    val_accuracy: float | None
    val_loss: float | None

    @property
    def score(self) -> Score | None:
        """Of the best epoch; None where all diverged."""
        return None if self.val_loss is None else Score(self.val_loss, self.val_accuracy)


@dataclass(frozen=True)
class Refined:
    """The longer trainings and the index of the best one."""

    runs: tuple[LongRun, ...]
    best: int | None

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
        runs = []
        for index, hp in enumerate(candidates):
            row = Checkpoint.row(_folder(context.state, index))
            if row is None:
                row = _train(context, index, hp, len(candidates))
            runs.append(read_result(LongRun, row))
        best = _best(runs, context.data.val_images)
        result = Refined(tuple(runs), runs.index(best) if best else None)
        search = context.results["search"]
        return Outcome(result, (judge_refinement(best, search.best_trial),))

    def usable(self, result: Refined) -> bool:
        return result.best is not None

    def page(self, result: Refined, findings: Sequence[dict[str, Any]]) -> list[Block]:
        names = list(dict.fromkeys(name for run in result.runs for name in run.hp))
        columns = ("Run", *(n.replace("_", " ").capitalize() for n in names))
        columns += ("Best epoch", "Val. loss", "Val. accuracy")
        rows = []
        for i, run in enumerate(result.runs):
            cells: tuple[Cell | str, ...] = (
                str(i + 1),
                *(hp_words(run.hp.get(n)) for n in names),
                f"{num(run.best_epoch)} of {num(run.epochs)}",
                Cell(loss(run.val_loss), run.val_loss),
                Cell(percent(run.val_accuracy), run.val_accuracy),
            )
            rows.append(Row(cells, "best" if i == result.best else ""))
        numeric = frozenset(range(1, len(columns)))
        plot = tuple(p for p in [refine_plot(result.runs, result.best)] if p is not None)
        return [
            Columns((plot, (Findings(findings),)), wide=True),
            Table("Longer runs", columns, tuple(rows), numeric),
        ]


def _best(runs: Sequence[LongRun], images: int | None) -> LongRun | None:
    """The best run; of those as good as equal, one whose schedule came to its end.

    An epoch in the middle that scores like a whole run does so by luck: on a few images the loss
    of one epoch says little, while a rate that came down to zero is what the run was for.
    """

    def pick(among: Sequence[LongRun]) -> LongRun | None:
        best: LongRun | None = None
        for run in among:
            if run.score and is_better(run.score, best.score if best else None, images=images):
                best = run
        return best

    best, ended = pick(runs), pick([run for run in runs if run.best_epoch == run.epochs])
    if best is None or ended is None or best.score is None or ended.score is None:
        return best
    if best.score.accuracy is None or ended.score.accuracy is None:
        return best
    close = best.score.accuracy - ended.score.accuracy
    return ended if close <= standard_error(best.score.accuracy, images) + 1e-6 else best


def best_weights(state: Path, result: Refined) -> list[np.ndarray]:
    """The weights of the best epoch of the best run, in the order of `model.get_weights()`."""
    run = result.best_run
    if run is None or run.best_epoch is None:
        raise ValueError("best_weights: no longer training has come to an end.")
    return Checkpoint.best_weights(_folder(state, result.best or 0), run.best_epoch)


def _folder(state: Path, index: int) -> Path:
    return state / f"refine-{index}"


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
    if context.clock.left is not None and speed:
        updates = max(10, round((1 - TIME_KEPT) * context.clock.left / speed))
        least, most = 1, 10_000
    per_pass = context.updates_per_pass(batch_size)
    return length_of(updates, per_pass, least=least, most=most, looks=10)


def _seconds_per_update(context: Context) -> float | None:
    """Of the best trial, validation included; else of the sweep."""
    best: Trial | None = context.results["search"].best_trial
    if best is not None and best.updates and best.seconds:
        return best.seconds / best.updates
    return context.results["learning_rates"].seconds_per_update


def _train(context: Context, index: int, hp: dict[str, Any], count: int) -> dict[str, Any]:
    batch_size = int(hp["batch_size"])
    length = _kept_length(context, index, batch_size)
    model = context.models.fresh(hp)
    best = BestWeights(context.data.val_images, last=length.epochs)
    checkpoint = Checkpoint(_folder(context.state, index), best)
    start = checkpoint.restore(model)
    schedule = WarmupCosine(
        hp["learning_rate"],
        total=length.total,
        warmup=max(1, round(WARMUP_SHARE * length.total)),
        start=start * length.updates,
    )
    title = f"refining, run {index + 1} of {count}, {length.epochs} epochs"
    with context.display.progress(title, length.epochs) as bar:
        bar.show(start)
        if start < length.epochs:
            fit(
                model,
                context.data,
                batch_size,
                length,
                purpose=f"refine {index}",
                start=start,
                callbacks=[schedule, best, checkpoint, bar.per_epoch()],
            )
    row = LongRun(
        hp,
        length.epochs,
        length.total,
        {key: tuple(values) for key, values in best.history.items()},
        best.epoch,
        best.score.accuracy if best.score else None,
        best.score.loss if best.score else None,
    )
    checkpoint.done(asdict(row))
    return Checkpoint.row(_folder(context.state, index)) or {}


def _kept_length(context: Context, index: int, batch_size: int) -> Length:
    """The length that an earlier sitting had planned, or a new plan that is written down."""
    file = _folder(context.state, index) / "length.json"
    planned = read_json(file)
    if planned is None:
        length = refine_length(context, batch_size)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(length))
        return length
    return read_result(Length, planned)


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
