"""What a search may vary: parameters by name, in Python or in a TOML file."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kcnn.recipe.settings import RecipeError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["TRAINING", "Parameter", "Space", "load_space"]

TRAINING = ("learning_rate", "weight_decay", "batch_size")  # set from outside, build or not
GRID_POINTS = 3  # of a range, in a grid search


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


class Space(Mapping[str, Parameter]):
    """Parameters by name; `learning_rate`, `weight_decay` and `batch_size` are always there.

    Every other name is the builder's: it finds its value in `hp`.

    Raises:
        RecipeError: an empty range, a rate of 0, a condition on an unknown parameter.
    """

    def __init__(self, parameters: Mapping[str, Parameter | Mapping[str, Any]]):
        self._parameters = {name: _parameter(name, p) for name, p in parameters.items()}
        for name, parameter in self._parameters.items():
            _check(name, parameter, self._parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def around(self, rate: float) -> Space:
        """The space once step 3 has picked a rate: no parameter is relative any more."""
        changed = dict(self._parameters)
        for name, p in changed.items():
            if p.around is not None:
                changed[name] = Parameter(
                    low=rate / p.around, high=rate * p.around, log=True, default=rate, when=p.when
                )
        return Space(changed)

    def defaults(self) -> dict[str, Any]:
        """The value of each parameter before the search; None for what is not known yet."""
        values: dict[str, Any] = {}
        for name, p in self._ordered():
            if _holds(p.when, values):
                values[name] = p.middle
        return values

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draw all parameters whose condition holds."""
        values: dict[str, Any] = {}
        for name, p in self._ordered():
            if _holds(p.when, values):
                values[name] = p.suggest(trial, name)
        return values

    def only_active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters whose condition holds."""
        kept: dict[str, Any] = {}
        for name, p in self._ordered():
            if _holds(p.when, kept):
                kept[name] = values[name]
        return kept

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """By name, as JSON and TOML types."""
        return {name: p.to_dict() for name, p in self._parameters.items()}

    def to_toml(self) -> str:
        """The text of a TOML file that `load_space` reads as this space."""
        tables = []
        for name, p in self._parameters.items():
            rows = [f"{key} = {_toml(value)}" for key, value in p.to_dict().items()]
            tables.append("\n".join([f"[{name}]", *rows]))
        return "\n\n".join(tables) + "\n"

    def _ordered(self) -> list[tuple[str, Parameter]]:
        """Unconditional parameters first, then those that depend on them."""
        placed: dict[str, Parameter] = {}
        left = dict(self._parameters)
        while left:
            ready = [n for n, p in left.items() if all(other in placed for other in p.when)]
            if not ready:
                raise RecipeError(f"The space's conditions go in a circle: {', '.join(left)}.")
            for name in ready:
                placed[name] = left.pop(name)
        return list(placed.items())


def load_space(file: str | Path) -> Space:
    """The space of a TOML file: one table a parameter, keys as in `Parameter`.

    Raises:
        RecipeError: no such file, no valid TOML, an unknown key, an impossible range.
    """
    try:
        tables = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The space file {file} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"The space file {file} is no valid TOML: {error}.") from None
    return Space(tables)


def _parameter(name: str, given: Any) -> Parameter:
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
    if "choices" in values:
        values["choices"] = tuple(values["choices"])
    return Parameter(**values)


def _check(name: str, p: Parameter, among: Mapping[str, Parameter]) -> None:
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


def _holds(when: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(name in values and values[name] == wanted for name, wanted in when.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
