"""What a search may vary: parameters by name, in Python or in a TOML file."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kcnn.recipe.parameter import Parameter, check_parameter, parameter_of
from kcnn.recipe.settings import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["TRAINING", "Space", "load_space"]

TRAINING = ("learning_rate", "weight_decay", "batch_size")  # set from outside, build or not


class Space(Mapping[str, Parameter]):
    """Parameters by name; `learning_rate`, `weight_decay` and `batch_size` are always there.

    Every other name is the builder's: it finds its value in `hp`.

    Raises:
        RecipeError: an empty range, a rate of 0, a condition on an unknown parameter.

    >>> from kcnn.recipe import Space
    >>> space = Space({"width": [1.0, 2.0], "dropout": {"low": 0.0, "high": 0.5}})
    >>> space.defaults()
    {'width': 1.0, 'dropout': 0.25}
    """

    def __init__(self, parameters: Mapping[str, Parameter | Mapping[str, Any]]):
        self._parameters = {name: parameter_of(name, p) for name, p in parameters.items()}
        for name, parameter in self._parameters.items():
            check_parameter(name, parameter, self._parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def around(self, rate: float) -> "Space":
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
        return self._active(lambda name, p: p.middle)

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draw all parameters whose condition holds."""
        return self._active(lambda name, p: p.suggest(trial, name))

    def only_active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters whose condition holds."""
        return self._active(lambda name, p: values[name])

    def _active(self, value: Callable[[str, Parameter], Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, p in self._ordered():
            if all(k in found and found[k] == wanted for k, wanted in p.when.items()):
                found[name] = value(name, p)
        return found

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

    >>> from pathlib import Path
    >>> from kcnn.recipe import load_space
    >>> _ = Path("space.toml").write_text("[width]\\nchoices = [1, 2]")
    >>> load_space("space.toml")["width"].choices
    (1, 2)
    """
    try:
        tables = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The space file {file} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"The space file {file} is no valid TOML: {error}.") from None
    return Space(tables)


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
