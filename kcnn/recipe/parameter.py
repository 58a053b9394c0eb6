"""One parameter of a search: a range, choices, or a factor around what an earlier step found."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any

from kcnn.recipe.settings import RecipeError, did_you_mean

__all__ = ["Parameter", "check_parameter", "parameter_of"]

GRID_POINTS = 3  # of a range, in a grid search
KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("low", "high", "around"), (Real, "a number")),
    **dict.fromkeys(("log", "integer"), (bool, "true or false")),
    "choices": ((list, tuple), "a list"),
    "when": (Mapping, "a table of names and values"),
}


@dataclass(frozen=True)
class Parameter:
    """A range of numbers, a list of choices, or a factor around what an earlier step found.

    Give one of: `low` and `high` (with `log` for a scale of factors, `integer` for whole
    numbers); `choices`; `around` (only of the learning rate: from the rate that step 3 picked,
    divided by the factor, to it times the factor).

    Attributes:
        default: the value before the search and in its first trial; the middle of a range or
            the first choice if left out.
        when: {name: value}: the parameter exists only where that other one has that value.

    >>> from kcnn.recipe import Parameter
    >>> round(Parameter(low=1e-4, high=1e-2, log=True).middle, 6)
    0.001
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()
    around: float | None = None
    default: Any = None
    when: Mapping[str, Any] = field(default_factory=dict)

    @property
    def middle(self) -> Any:
        """The default, or what stands in the middle."""
        if self.default is not None:
            return self.default
        if self.choices:
            return self.choices[0]
        if self.low is None or self.high is None:
            return None  # around a rate that is not known yet
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return round(middle) if self.integer else middle

    def suggest(self, trial: Any, name: str) -> Any:
        """Draw a value for an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if self.low == self.high:
            return self.low
        if self.integer:
            return trial.suggest_int(name, int(self.low or 0), int(self.high or 0), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def grid(self) -> list[Any]:
        """The values of a grid search: all choices, or a few over the middle of a range."""
        if self.choices:
            return list(self.choices)
        low, high = float(self.low or 0.0), float(self.high or 0.0)
        shares = [(i + 0.5) / GRID_POINTS for i in range(GRID_POINTS)]
        if self.log:
            values = [low * (high / low) ** share for share in shares]
        else:
            values = [low + (high - low) * share for share in shares]
        return sorted({round(v) for v in values}) if self.integer else values

    def to_dict(self) -> dict[str, Any]:
        """What was given, as JSON and TOML types."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {k: v for k, v in given.items() if not (v is None or v is False or v in ((), {}))}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


def parameter_of(name: str, given: Any) -> Parameter:
    """The parameter that a table, a list of choices or a `Parameter` means."""
    if isinstance(given, Parameter):
        return given
    if isinstance(given, (list, tuple)):
        return Parameter(choices=tuple(given))
    if not isinstance(given, Mapping):
        raise RecipeError(
            f"space: {name} must be a Parameter, a list of choices or a table; received {given!r}."
        )
    known = [f.name for f in fields(Parameter)]
    for key in given:
        if key not in known:
            raise RecipeError(
                f"space: {name} has an unknown key {key!r}; it takes {', '.join(known)}."
                f"{did_you_mean(key, known)}"
            )
    values = dict(given)
    if isinstance(values.get("choices"), list):
        values["choices"] = tuple(values["choices"])
    return Parameter(**values)


def check_parameter(name: str, p: Parameter, among: Mapping[str, Parameter]) -> None:
    """Refuse an empty range, a rate of 0, a condition on what is not `among` the parameters."""
    for key, (kind, called) in KINDS.items():
        value = getattr(p, key)
        truth = kind is Real and isinstance(value, bool)
        if value is not None and (truth or not isinstance(value, kind)):
            raise RecipeError(f"space: {name}: {key} must be {called}; received {value!r}.")
    ways = (p.low is not None or p.high is not None, bool(p.choices), p.around is not None)
    if sum(ways) != 1 or (ways[0] and (p.low is None or p.high is None)):
        raise RecipeError(f"space: {name} needs low and high, or choices, or around.")
    if p.low is not None and p.high is not None:
        if not p.low <= p.high:
            raise RecipeError(f"space: {name} from {p.low:g} to {p.high:g} is an empty range.")
        if p.log and p.low <= 0:
            raise RecipeError(f"space: {name} is on a log scale and starts at {p.low:g}, not > 0.")
    if p.around is not None and (name != "learning_rate" or not p.around > 1):
        raise RecipeError(
            f"space: {name} can't be around={p.around:g}: that is a factor above 1, and only "
            "learning_rate has an earlier step to be around of."
        )
    numbers = p.choices or tuple(v for v in (p.low, p.high) if v is not None)
    if name in ("learning_rate", "batch_size") and any(not _positive(v) for v in numbers):
        raise RecipeError(f"space: {name} must be above 0; received {numbers}.")
    if name == "weight_decay" and any(not _positive(v) and v != 0 for v in numbers):
        raise RecipeError(f"space: weight_decay must be 0 or more; received {numbers}.")
    for other in p.when:
        if other not in among:
            raise RecipeError(
                f"space: {name} depends on {other!r}, which is not in the space."
                f"{did_you_mean(other, among)}"
            )


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
