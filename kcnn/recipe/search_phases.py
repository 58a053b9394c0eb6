"""The trials of a search: how many and how long, and the training of each, here or in a worker."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kcnn.recipe.clock import Clock
from kcnn.recipe.context import Context
from kcnn.recipe.parameter import Parameter
from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.schedule import WarmupCosine
from kcnn.recipe.settings import RecipeError
from kcnn.recipe.shared_search import Phase, Report
from kcnn.recipe.space import Space
from kcnn.recipe.training import Length, fit, length_of

__all__ = ["SearchPlan", "narrowed", "run_phases", "search_plan"]

MOST_PASSES = 5  # over the training images, of a trial
TIME_SHARE = 0.2  # of the time left, for the search
LEAST_PASSES = 3  # over the training images, of a trial that says more than who starts fast
LEAST_UPDATES = 300  # of such a trial on few images, for the same reason
FEWEST = 3  # such trials; where the time is too short for them there is one, of the defaults
FEWEST_UPDATES = 10  # of that one
FREE = 4  # times the updates that were expected, where the clock ends a trial
NARROWED_FROM = 8  # trials; with fewer there is no best quarter to speak of
FIRST_SHARE = 0.6  # of the trials, in the whole space; the others in the narrowed one
BEST_SHARE = 0.25  # of the trials, and two at least
LEAST_SHARE = 0.25  # of the old range that the new one has, in log units on a log scale
MARGIN = 0.25  # of the best trials' range, added on each side


@dataclass(frozen=True)
class SearchPlan:
    """What the run has planned and its workers keep to.

    Attributes:
        trials: how many.
        updates: optimizer steps of each, at the run's own batch size.
        seconds: of each, where the run's time is limited: the clock ends it then.
    """

    trials: int
    updates: int
    seconds: float | None = None

    def length(self, context: Context, batch_size: int) -> Length:
        """How long a trial with this batch size trains at most."""
        if self.seconds is None:
            per_pass = context.updates_per_pass(batch_size)
            return length_of(self.updates, per_pass, least=1, most=MOST_PASSES)
        return Length(1, FREE * self.expected(context, batch_size))

    def expected(self, context: Context, batch_size: int) -> int:
        """About how many updates a trial with this batch size has."""
        return max(FEWEST_UPDATES, round(self.updates * context.batch_size / batch_size))


def search_plan(context: Context, seconds_per_update: float | None) -> SearchPlan:
    """As the budget has it, or as the time allows: few long looks rather than many short ones.

    Raises:
        RecipeError: the time that is left is not enough for one trial.
    """
    budget, left = context.budget, context.clock.left
    if left is None or not seconds_per_update:
        return SearchPlan(budget.trials, budget.search_updates)
    time = TIME_SHARE * left
    if time < 2 * FEWEST_UPDATES * seconds_per_update:
        needed = 2 * FEWEST_UPDATES * seconds_per_update / TIME_SHARE + context.clock.spent
        raise RecipeError(
            f"The time is too short for a search: {context.clock.spent:.0f} s are spent, and an "
            f"update takes {seconds_per_update:.2g} s. Go on with --resume and a --time of "
            f"{math.ceil(2 * needed)}s or more."
        )
    updates = max(LEAST_UPDATES, LEAST_PASSES * context.updates_per_pass(context.batch_size))
    trials = min(budget.trials, int(time / updates / seconds_per_update))
    if trials < FEWEST:
        return SearchPlan(1, FEWEST_UPDATES, FEWEST_UPDATES * seconds_per_update)
    seconds = time / trials
    return SearchPlan(trials, max(FEWEST_UPDATES, round(seconds / seconds_per_update)), seconds)


def run_phases(
    context: Context, space: Space, storage: Any, plan: SearchPlan
) -> tuple[list[dict[str, Any]], Space | None]:
    """Rows of all trials, whoever trained them, and the narrowed space if there was one."""
    count = plan.trials
    first = math.ceil(FIRST_SHARE * count) if count >= NARROWED_FROM else count
    until = None if plan.seconds is None else Clock.now() + count * plan.seconds
    settings, name = context.settings, f"{context.run_id} search"
    common: dict[str, Any] = {
        "storage": storage,
        "sampler": settings.search,
        "pruner": settings.pruner,
    }
    with context.display.progress(f"search, {count} trials", count) as bar:
        wide = Phase(
            name, space=space, trials=first, seed=settings.seed, first=space.defaults(), **common
        )
        found = wide.run(_trainer(context, bar, 0, plan), bar, until=until)
        rows = [{**row, "phase": 1} for row in found]
        ended = [(row["hp"], row["val_loss"]) for row in rows if row["state"] == "finished"]
        if first == count or len(ended) < 2:
            return rows, None
        smaller = narrowed(space, ended)
        more = Phase(
            f"{name} narrowed",
            space=smaller,
            trials=count - first,
            seed=settings.seed + 1,
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


def narrowed(space: Space, trials: Sequence[tuple[Mapping[str, Any], float]]) -> Space:
    """The space that the best quarter of the trials (two at least) spans.

    A range becomes theirs, in log units on a log scale, with a quarter of it added on each side,
    at least a quarter of the old range wide and inside it. Choices become those they have made.

    Args:
        space: searched so far.
        trials: (values, validation loss) of those that ended; two or more.
    """
    ranked = sorted(trials, key=lambda trial: trial[1])
    best = [values for values, _ in ranked[: max(2, math.ceil(BEST_SHARE * len(ranked)))]]
    return Space(
        {name: _narrowed(p, [v[name] for v in best if name in v]) for name, p in space.items()}
    )


def _narrowed(p: Parameter, values: list[Any]) -> Parameter:
    if not values:
        return p
    if p.choices:
        kept = tuple(c for c in p.choices if c in values)
        return replace(p, choices=kept, default=values[0])
    if p.low is None or p.high is None:
        return p
    to, back = (math.log, math.exp) if p.log else (float, float)
    low, high, least = to(p.low), to(p.high), LEAST_SHARE * (to(p.high) - to(p.low))
    first, last = min(map(to, values)), max(map(to, values))
    margin = max(MARGIN * (last - first), (least - (last - first)) / 2, 0.0)
    new_low, new_high = max(low, first - margin), min(high, last + margin)
    if p.integer:
        return replace(
            p,
            low=math.floor(back(new_low) + 1e-9),
            high=math.ceil(back(new_high) - 1e-9),
            default=values[0],
        )
    return replace(p, low=back(new_low), high=back(new_high), default=values[0])
