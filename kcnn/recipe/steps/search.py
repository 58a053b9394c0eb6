"""Step 4: a search over rate, weight decay, batch size and whatever else the space names."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table as Lines

from kcnn.recipe.clock import Clock
from kcnn.recipe.files import jsonable
from kcnn.recipe.logs import write_rows
from kcnn.recipe.narrowing import narrowed
from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.results import read_result
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.search_plan import SearchPlan, search_plan
from kcnn.recipe.shared_search import Phase, Report, announce, open_storage, storage_errors
from kcnn.recipe.space import Space
from kcnn.recipe.step import Context, Outcome, Step
from kcnn.recipe.steps.search_page import hp_words, search_page
from kcnn.recipe.steps.search_verdict import judge_search
from kcnn.recipe.training import fit
from kcnn.report import Block

__all__ = ["Search", "Searched", "Trial", "run_phases"]

NARROWED_FROM = 8  # trials; with fewer there is no best quarter to speak of
FIRST_SHARE = 0.6  # of the trials, in the whole space; the others in the narrowed one


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
        storage = open_storage(context.settings.storage, context.state)
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
        table = Lines(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        names = list(result.space)
        for column in ("", *names, "val loss", "val accuracy"):
            table.add_column(column.replace("_", " "), justify="right" if column else "left")
        for trial in sorted(result.trials, key=lambda t: (t.state != "finished", t.val_loss or 0)):
            chosen = trial.number == result.best
            accuracy = "–" if trial.val_accuracy is None else f"{trial.val_accuracy:.1%}"
            ended = trial.state == "finished" and trial.val_loss is not None
            table.add_row(
                "   →" if chosen else "    ",
                *(hp_words(trial.hp.get(name)) for name in names),
                f"{trial.val_loss:.3f}" if ended else trial.state,
                accuracy,
                style="bold" if chosen else "",
            )
        return (table,)

    def page(self, result: Searched, findings: Sequence[dict[str, Any]]) -> list[Block]:
        return search_page(asdict(result), findings)


def run_phases(
    context: Context, space: Space, storage: Any, plan: SearchPlan
) -> tuple[list[dict[str, Any]], Space | None]:
    """Rows of all trials, whoever trained them, and the narrowed space if there was one."""
    count = plan.trials
    first = math.ceil(FIRST_SHARE * count) if count >= NARROWED_FROM else count
    until = None if plan.seconds is None else Clock.now() + count * plan.seconds
    common = {
        "storage": storage,
        "sampler": context.settings.search,
        "pruner": context.settings.pruner,
    }
    seed = context.settings.seed
    with context.display.progress(f"search, {count} trials", count) as bar:
        wide = Phase(
            f"{context.run_id} search",
            space=space,
            trials=first,
            seed=seed,
            first=space.defaults(),
            **common,
        )
        rows = [
            {**row, "phase": 1}
            for row in wide.run(_trainer(context, bar, 0, plan), bar, until=until)
        ]
        ended = [(row["hp"], row["val_loss"]) for row in rows if row["state"] == "finished"]
        if first == count or len(ended) < 2:
            return rows, None
        smaller = narrowed(space, ended)
        more = Phase(
            f"{context.run_id} search narrowed",
            space=smaller,
            trials=count - first,
            seed=seed + 1,
            **common,
        )
        found = more.run(_trainer(context, bar, first, plan), bar.moved(first), until=until)
    rows += [{**row, "phase": 2, "number": row["number"] + first} for row in found]
    return rows, smaller


def _trainer(context: Context, bar: Any, offset: int, plan: SearchPlan):
    """A function that trains one trial and gives its row."""

    def train(place: int, hp: dict[str, Any], report: Report) -> dict[str, Any]:
        batch_size = int(hp["batch_size"])
        length = plan.length(context, batch_size)
        callbacks: list[Any] = [report]
        if plan.seconds is not None:
            expected = plan.expected(context, batch_size)
            schedule = WarmupCosine(hp["learning_rate"], total=expected, seconds=plan.seconds)
            callbacks.append(schedule)
        history = fit(
            context.models.fresh(hp),
            context.data,
            batch_size,
            length,
            purpose=f"search {offset + place}",
            callbacks=[*callbacks, bar.pulse(length.epochs)],
        )
        epochs = len(history.get("val_loss", ()))
        key = accuracy_key(history)
        return {
            "train_loss": _last(history, "loss"),
            "val_loss": _last(history, "val_loss"),
            "val_accuracy": _last(history, f"val_{key}") if key else None,
            "epochs": epochs,
            "updates": epochs * length.updates if plan.seconds is None else schedule.step,
        }

    return train


def _last(history: dict[str, list[float]], key: str) -> float | None:
    values = history.get(key)
    return float(values[-1]) if values else None
