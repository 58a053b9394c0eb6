"""A run as its files tell it; whatever is missing stays missing."""

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

STEPS = (
    ("initial_loss", "Initial loss"),
    ("small_sample", "Overfit a small sample"),
    ("learning_rates", "Find a learning rate"),
    ("coarse_search", "Coarse search"),
    ("refine", "Refine and train longer"),
    ("curves", "Read the curves"),
)


@dataclass(frozen=True)
class Run:
    """`result.json` as a dict, and the arrays of `samples.npz` (empty if there is none)."""

    folder: Path
    record: dict[str, Any]
    samples: dict[str, np.ndarray]

    def get(self, *keys: str, default: Any = None) -> Any:
        """`record[a][b]…`, or the default where a key or its parent is missing or null."""
        return dig(self.record, *keys, default=default)

    def result(self, step: str, *keys: str, default: Any = None) -> Any:
        """A field of a step's result."""
        return dig(self.step(step), "result", *keys, default=default)

    def step(self, name: str) -> dict[str, Any]:
        """The record of the step of that name; an empty dict if it was not reached."""
        return next((s for s in self.steps if s.get("name") == name), {})

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps on record."""
        return records(self.record.get("steps"))

    @property
    def class_names(self) -> list[str]:
        """Names as strings; empty if unknown."""
        names = self.get("data", "class_names", default=[])
        return [str(name) for name in names] if isinstance(names, list) else []


def load_run(run_dir: str | Path) -> Run:
    """Read `result.json` and, if it is there, `samples.npz`.

    Raises FileNotFoundError without a `result.json`, ValueError if it can't be read.
    """
    folder = Path(run_dir)
    file = folder / "result.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"write_report: {folder} holds no result.json; give the folder of a run "
            "(what `kcnn recipe --out` named)."
        )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"write_report: {file} is no valid JSON ({error}).") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"write_report: {file} holds a {type(record).__name__}; a run's record is an object."
        )
    return Run(folder, record, _samples(folder / "samples.npz"))


def dig(value: Any, *keys: str, default: Any = None) -> Any:
    """Follow keys through nested dicts; the default where one is missing or null."""
    for key in keys:
        if not isinstance(value, dict):
            return default
        value = value.get(key)
    return default if value is None else value


def records(value: Any) -> list[dict[str, Any]]:
    """The dicts of a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: Any) -> float:
    """A float; NaN for null, text, a field the template does not find, or what is no number."""
    if isinstance(value, dict):  # a finding's evidence names what JSON has no word for
        value = value.get("float")
    try:
        return float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError, jinja2.UndefinedError):
        return math.nan


def numbers(value: Any) -> np.ndarray:
    """A float64 vector, NaN where JSON has null."""
    items = value if isinstance(value, list) else []
    return np.array([number(item) for item in items], dtype=np.float64)


def _samples(file: Path) -> dict[str, np.ndarray]:
    """Arrays by name; nothing if the file is missing or damaged, for the page lives without."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}
