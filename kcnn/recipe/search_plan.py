"""How many trials the search has and how long each of them trains."""

from __future__ import annotations

from dataclasses import dataclass

from kcnn.recipe.step import Context
from kcnn.recipe.training import Length, length_of

__all__ = ["SearchPlan", "search_plan"]

MOST_PASSES = 5  # over the training images, of a trial
TIME_SHARE = 0.2  # of the time left, for the search
LEAST_PASS = 0.4  # of the training images, of a trial: where time is short there are fewer trials
FEWEST = 3  # trials
FREE = 4  # times the updates that were expected, where the clock ends a trial


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
        return max(10, round(self.updates * context.batch_size / batch_size))


def search_plan(context: Context, seconds_per_update: float | None) -> SearchPlan:
    """As the budget has it, or as the time allows: few long looks rather than many short ones."""
    budget, left = context.budget, context.clock.left
    if left is None or not seconds_per_update:
        return SearchPlan(budget.trials, budget.search_updates)
    time = TIME_SHARE * left
    least = LEAST_PASS * seconds_per_update * context.updates_per_pass(context.batch_size)
    trials = max(min(FEWEST, budget.trials), min(budget.trials, int(time / least)))
    return SearchPlan(trials, max(10, round(time / trials / seconds_per_update)), time / trials)
