"""A smaller space around the best trials of a larger one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kcnn.recipe.parameter import Parameter
from kcnn.recipe.space import Space

__all__ = ["narrowed"]

BEST_SHARE = 0.25  # of the trials, and two at least
LEAST_SHARE = 0.25  # of the old range that the new one has, in log units on a log scale
MARGIN = 0.25  # of the best trials' range, added on each side


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
