"""How many trials the search has and how long each of them trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kcnn.recipe.settings import RecipeError
from kcnn.recipe.step import Context
from kcnn.recipe.training import Length, length_of

__all__ = ["SearchPlan", "search_plan"]

MOST_PASSES = 5  # over the training images, of a trial
TIME_SHARE = 0.2  # of the time left, for the search
LEAST_PASSES = 3  # over the training images, of a trial that says more than who starts fast
LEAST_UPDATES = 300  # of such a trial on few images, for the same reason
FEWEST = 3  # such trials; where the time is too short for them there is one, of the defaults
FEWEST_UPDATES = 10  # of that one
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
