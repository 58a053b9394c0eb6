"""Step 4: a search over rate, weight decay, batch size and whatever else the space names."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.table import Table as Lines

from kcnn.callbacks import Finding
from kcnn.recipe.context import Context
from kcnn.recipe.files import jsonable
from kcnn.recipe.logs import write_rows
from kcnn.recipe.results import read_result
from kcnn.recipe.search_phases import (
    FEWEST,
    FEWEST_UPDATES,
    FREE,
    SearchPlan,
    run_phases,
    search_plan,
)
from kcnn.recipe.shared_search import announce, storage_errors
from kcnn.recipe.step import Outcome, Step
from kcnn.report import Block, Cell, Columns, Findings, Note, Row, Table
from kcnn.report.trials import Point, parallel_plot, slice_plot
from kcnn.report.words import duration, loss, num, number, percent, rate, setting

__all__ = ["Search", "Searched", "Trial"]

SHOWN_TRIALS = 200  # on the page, the best ones
SHOWN_SLICES = 8  # parameters with a plot of their own
PRUNING = {
    "median": "a trial ends early when its validation loss is above the median of the others",
    "asha": "trials end early by successive halving",
    "none": "no trial is ended early",
}
WELL_BELOW = 0.95  # of what guessing costs


@dataclass(frozen=True)
class Trial:
    """One training of the search and its last scores; `phase` 2 is in the narrowed space."""

    number: int
    phase: int
    hp: dict[str, Any]
    train_loss: float | None
    val_loss: float | None
    val_accuracy: float | None
    epochs: int
    updates: int
    seconds: float
    state: str


@dataclass(frozen=True)
class Searched:
    """All trials, the number of the best, and the spaces as `Space.to_dict` gives them."""

    sampler: str
    pruner: str
    trials: tuple[Trial, ...]
    best: int | None
    space: dict[str, Any]
    narrowed: dict[str, Any] | None

    @property
    def best_trial(self) -> Trial | None:
        """The trial with the lowest validation loss of those that ran to their end."""
        return next((t for t in self.trials if t.number == self.best), None)


class Search(Step[Searched]):
    """The step of the recipe."""

    name = "search"
    title = "Search"
    purpose = (
        "Short trainings with other rates, weight decays, batch sizes and whatever else the "
        "space names; then, with enough trials, more of them around the best quarter."
    )
    needs = ("initial_loss", "learning_rates")
    Result = Searched

    def run(self, context: Context) -> Outcome[Searched]:
        """Train with each of the drawn settings and rank them by validation loss.

        The first trial has the rate of step 3 and the space's defaults, so the search can only
        improve on them. Ended trials are in the storage: a resumed run does not repeat them.
        """
        rate = context.results["learning_rates"].suggestion
        space = context.space.around(rate)
        storage = context.storage
        with storage_errors(context.settings.storage or "in the run's folder"):
            about = {
                "run": context.run_id,
                "identity": context.identity,
                "rate": rate,
                "plan": asdict(self._plan(context)),
                "augmented_by": context.data.augmented_by,
                "began": time.time(),
            }
            about = announce(storage, f"{context.run_id} search", jsonable(about))
            plan = read_result(SearchPlan, about["plan"])
            rows, smaller = run_phases(context, space, storage, plan)
        if context.logs is not None:
            told = ({k: v for k, v in row.items() if k != "hp"} | row["hp"] for row in rows)
            write_rows(context.logs / "trials.csv", told)
        trials = tuple(read_result(Trial, row) for row in rows)
        ended = [t for t in trials if t.state == "finished" and t.val_loss is not None]
        best = min(ended, key=lambda t: t.val_loss or math.inf) if ended else None
        result = Searched(
            context.settings.search,
            context.settings.pruner,
            trials,
            best.number if best else None,
            space.to_dict(),
            smaller.to_dict() if smaller else None,
        )
        return Outcome(result, (judge_search(result, context.results["initial_loss"].expected),))

    def expected_seconds(self, context: Context) -> float | None:
        rates = context.results.get("learning_rates")
        if rates is None or rates.seconds_per_update is None:
            return None
        plan = self._plan(context)
        updates = plan.length(context, context.batch_size).total
        return plan.seconds or plan.trials * updates * rates.seconds_per_update

    def _plan(self, context: Context) -> SearchPlan:
        return search_plan(context, context.results["learning_rates"].seconds_per_update)

    def usable(self, result: Searched) -> bool:
        return result.best is not None

    def lines(self, result: Searched) -> Iterable[Any]:
        table = Lines(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
        names = list(result.space)
        for column in ("", *names, "val loss", "val accuracy"):
            table.add_column(column.replace("_", " "), justify="right" if column else "left")
        for trial in sorted(result.trials, key=_rank):
            chosen = trial.number == result.best
            accuracy = "–" if trial.val_accuracy is None else f"{trial.val_accuracy:.1%}"
            ended = trial.state == "finished" and trial.val_loss is not None
            table.add_row(
                "   →" if chosen else "    ",
                *(setting(trial.hp.get(name)) for name in names),
                f"{trial.val_loss:.3f}" if ended else trial.state,
                accuracy,
                style="bold" if chosen else "",
            )
        return (table,)

    def page(self, result: Searched, findings: Sequence[dict[str, Any]]) -> list[Block]:
        names = list(result.space)
        trials = sorted(result.trials, key=_rank)
        told = f"{result.sampler} search, {len(trials)} trials, {PRUNING[result.pruner]}."
        if len(trials) == 1:
            told = "One trial, of the defaults."
        words: tuple[Block, ...] = (Findings(findings), Note(told))
        accuracy = all(t.val_accuracy is not None for t in trials if t.state == "finished")
        points = [_point(t, accuracy, best=t.number == result.best) for t in trials]
        slices = [
            slice_plot(n, points, accuracy=accuracy, log="log" in p, few="choices" in p)
            for n, p in list(result.space.items())[:SHOWN_SLICES]
        ]
        plots = [plot for plot in slices if plot is not None]
        blocks: list[Block] = [Columns((tuple(plots[:1]), words), wide=True)] if plots else [*words]
        if len(plots) > 1:
            blocks.append(Columns(tuple((plot,) for plot in plots[1:])))
        parallel = parallel_plot(names, points)
        return [
            *blocks,
            *([parallel] if parallel else []),
            _table(result, names, trials[:SHOWN_TRIALS]),
            Note(_space_words(result)),
        ]


def judge_search(result: Searched, guess: float | None) -> Finding:
    """Fails when every trial diverged; warns when the best is hardly better than guessing.

    The one short trial that a short time allows says nothing.
    """
    best, trials = result.best_trial, result.trials
    if best is not None and len(trials) == 1 and best.updates <= FREE * FEWEST_UPDATES:
        seen = "the time is too short for a search: the defaults are trained"
        return Finding("search", "note", seen, f"time for {FEWEST} trials or more")
    expected = "a validation loss well below guessing"
    if guess is not None:
        expected += f", which costs {guess:.3f}"
    if best is None or best.val_loss is None:
        seen = f"all {len(trials)} trials diverged"
        advice = "Lower the learning rate by 10 and look at the data for outliers."
        return Finding("search", "failure", seen, expected, advice, "lr_too_high", "learning_rate")
    accuracy = "" if best.val_accuracy is None else f", accuracy {best.val_accuracy:.1%}"
    values = ", ".join(f"{k.replace('_', ' ')} {setting(v)}" for k, v in best.hp.items())
    seen = (
        f"best of {len(trials)} trials: validation loss {best.val_loss:.3f}{accuracy} at {values}"
    )
    evidence = {"val_loss": best.val_loss, "val_accuracy": best.val_accuracy}
    found = Finding("search", "ok", seen=seen, expected=expected, evidence=evidence)
    if guess is None or best.val_loss < WELL_BELOW * guess:
        return found
    advice = (
        "Training longer may help (--budget standard or thorough); if the loss stays there, look "
        "at labels and validation images side by side."
    )
    return replace(found, severity="warning", advice=advice, cause="too_few_epochs", where="epochs")


def _rank(trial: Trial) -> tuple[bool, float]:
    value = number(trial.val_loss)
    return trial.state != "finished", math.inf if math.isnan(value) else value


def _point(trial: Trial, accuracy: bool, best: bool) -> Point:
    score = trial.val_accuracy if accuracy else trial.val_loss
    ended = trial.state == "finished" and trial.val_loss is not None
    series = "whole space" if trial.phase == 1 else "narrowed"
    return Point(trial.hp, score if ended else None, series, best)


def _table(result: Searched, names: Sequence[str], trials: Sequence[Trial]) -> Table:
    columns = ("Trial", *(n.replace("_", " ").capitalize() for n in names))
    columns += ("Train loss", "Val. loss", "Val. accuracy", "Epochs", "Time", "State")
    rows = []
    for t in trials:
        values = [t.hp.get(n) for n in names]
        cells: tuple[Cell | str, ...] = (
            Cell(str(t.number), t.number),
            *(Cell(setting(v), v if isinstance(v, (int, float)) else None) for v in values),
            Cell(loss(t.train_loss), t.train_loss),
            Cell(loss(t.val_loss), t.val_loss),
            Cell(percent(t.val_accuracy), t.val_accuracy),
            Cell(num(t.epochs), t.epochs),
            Cell(duration(t.seconds), t.seconds),
            t.state,
        )
        rows.append(Row(cells, "best" if t.number == result.best else ""))
    numeric = frozenset(range(len(columns) - 1))
    return Table("Trials of the search", columns, tuple(rows), numeric, sortable=True)


def _space_words(result: Searched) -> str:
    def told(space: dict[str, Any]) -> str:
        return "; ".join(f"{n.replace('_', ' ')} {range_of(p)}" for n, p in space.items())

    def range_of(p: dict[str, Any]) -> str:
        if "choices" in p:
            return " or ".join(setting(c) for c in p["choices"])
        return f"{rate(p.get('low'))} to {rate(p.get('high'))}"

    if not result.narrowed:
        return f"Searched: {told(result.space)}."
    return (
        f"Searched: {told(result.space)}. Then around the best quarter of the trials, in log "
        f"units, with a quarter of their range added on each side: {told(result.narrowed)}."
    )
