"""What an instrument says: frozen data, heard by a sink."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["Finding", "Record"]

SEVERITIES = ("ok", "note", "warning", "failure")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing an instrument found.

    Args:
        check: Name of the check, e.g. `"initial_loss"`.
        severity: `"ok"`, `"note"`, `"warning"` or `"failure"`.
        seen: What was measured, as a sentence or a number in words.
        expected: What a healthy run shows.
        advice: What to do; empty when there is nothing to do.
        cause: Label of the root cause (`"lr_too_high"`, `"overfitting"`, ...) or None.
        where: Layer or argument concerned, or None.
        evidence: The numbers behind it: JSON types, NumPy numbers and arrays.
        epoch: Epoch (from 1) in which it was seen, or None.
        step: Optimizer step (from 1) at which it was seen, or None.
        time: Seconds since 1970 at which it was told, or None; see `now`.

    Raises:
        ValueError: for another severity.

    >>> Finding("rate", "failure", "the loss grows", "it falls", advice="Lower it.").ok
    False
    """

    check: str
    severity: str
    seen: str
    expected: str
    advice: str = ""
    cause: str | None = None
    where: str | None = None
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    epoch: int | None = None
    step: int | None = None
    time: float | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"Finding: severity must be one of {', '.join(SEVERITIES)}; "
                f"received {self.severity!r}."
            )
        object.__setattr__(self, "evidence", {str(k): plain(v) for k, v in self.evidence.items()})

    @property
    def id(self) -> str:
        """What it is about, the same in every run: "check/cause", or "check" alone."""
        return self.check if self.cause in (None, self.check) else f"{self.check}/{self.cause}"

    def named(self, names: Iterable[str]) -> bool:
        """Whether its check, its cause or its id is among `names`."""
        return not {self.check, self.cause, self.id}.isdisjoint(names)

    def now(self, *, epoch: int | None = None, step: int | None = None) -> Finding:
        """The same finding, told at this moment; what it knows of epoch, step and time stays."""
        return dataclasses.replace(
            self,
            epoch=epoch if self.epoch is None else self.epoch,
            step=step if self.step is None else self.step,
            time=time.time() if self.time is None else self.time,
        )

    @property
    def ok(self) -> bool:
        """True unless something should be done."""
        return self.severity in ("ok", "note")

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types (NaN as `{"float": "nan"}`), read back by `from_dict`."""
        values = {f.name: _named(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"id": self.id, **values}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that `to_dict` wrote; keys it does not know are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: _unnamed(value) for key, value in data.items() if key in known}
        return cls(**values)

    def __str__(self) -> str:
        where = f" [{self.where}]" if self.where else ""
        text = f"{self.severity} {self.check}{where}: {self.seen}"
        if self.expected:
            text += f" (expected: {self.expected})"
        return f"{text}. {self.advice}" if self.advice else text


@dataclasses.dataclass(frozen=True)
class Record:
    """A result that can be written down."""

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types; numbers that are not finite are None."""
        return {field.name: _json(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _json(value: Any) -> Any:
    if isinstance(value, (Finding, Record)):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(value: Any) -> Any:
    """Python numbers, lists and dicts instead of NumPy's and tuples."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _named(value: Any) -> Any:
    """JSON has no NaN or infinity: they travel as named floats."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    return value


def _unnamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"float"}:
            return float(value["float"])
        return {key: _unnamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unnamed(item) for item in value]
    return value
