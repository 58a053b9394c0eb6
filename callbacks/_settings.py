"""`[tool.kcnn]` of a project's pyproject.toml: which checks, with which numbers, what fails."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["FAIL_ON", "Settings", "read_settings"]

FAIL_ON = ("failure", "warning")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a project asks of an examination.

    Args:
        select, ignore: Ids of checks; empty: all of them, none of them.
        parameters: Check id to its numbers by name.
        fail_on: Severity from which a program counts as failed: "failure" or "warning".
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    fail_on: str = "failure"

    @property
    def chosen(self) -> dict[str, Any]:
        """Arguments of `examine` and `Doctor`; those that are not set are left out."""
        values = {"select": self.select, "ignore": self.ignore, "parameters": self.parameters}
        return {name: value for name, value in values.items() if value}

    def over(self, **said: Any) -> Settings:
        """These settings where the arguments, None for those not given, do not say otherwise."""
        given = {name: value for name, value in said.items() if value is not None}
        lists = {
            name: tuple(value) for name, value in given.items() if name in ("select", "ignore")
        }
        return dataclasses.replace(self, **(given | lists))

    def fails(self, severity: str) -> bool:
        """Whether a finding of this severity fails the program."""
        return severity == "failure" or severity == self.fail_on


def read_settings(folder: str | Path | None = None) -> Settings:
    """`[tool.kcnn]` of the nearest pyproject.toml from `folder` (the working one) upwards.

        [tool.kcnn]
        ignore = ["class_balance"]
        fail-on = "warning"
        [tool.kcnn.parameters.input_scale]
        size = 20

    Raises:
        ValueError: for a key or value that there is not.
    """
    start = Path(folder or ".").resolve()
    for place in (start, *start.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            return _settings(file, _table(file))
    return Settings()


def _table(file: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not a TOML file: {error}.") from None
    return tables.get("tool", {}).get("kcnn", {})


def _settings(file: Path, table: Mapping[str, Any]) -> Settings:
    def refuse(what: str) -> ValueError:
        return ValueError(f"{file}, [tool.kcnn]: {what}.")

    known = ("select", "ignore", "parameters", "fail-on")
    for key in table:
        if key not in known:
            raise refuse(f"there is no {key!r}; known are {', '.join(known)}")
    for key in ("select", "ignore"):
        names = table.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise refuse(f"{key} must be a list of names; received {names!r}")
    parameters = table.get("parameters", {})
    tables = parameters.values() if isinstance(parameters, dict) else [parameters]
    if not all(isinstance(one, dict) for one in tables):
        raise refuse(f"parameters must be tables of numbers by check; received {parameters!r}")
    fail_on = table.get("fail-on", "failure")
    if fail_on not in FAIL_ON:
        raise refuse(f"fail-on must be one of {', '.join(FAIL_ON)}; received {fail_on!r}")
    return Settings(
        tuple(table.get("select", [])), tuple(table.get("ignore", [])), parameters, fail_on
    )
