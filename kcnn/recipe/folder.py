"""The folder of a run: refused when filled, resumed when asked, written atomically."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from kcnn.recipe.config import RecipeConfig, RecipeError

__all__ = ["RunFolder", "jsonable", "write_json"]

_FREE_ON_RESUME = {"manual_dir", "data_dir", "keep_going"}  # they change no result


class RunFolder:
    """Where a run keeps its results.

    `result.json` is the run's record and is replaced in one move after each step, so that a
    killed process leaves the last whole one. `state/` holds what a resumed run needs and goes
    when the run is finished.

    Raises:
        RecipeError: the folder has content and neither `resume` nor `overwrite` was asked;
            `overwrite` on a folder that holds no run; `resume` under other settings.
    """

    def __init__(
        self, path: Path, config: RecipeConfig, *, resume: bool = False, overwrite: bool = False
    ):
        self.path = Path(path)
        self.result_path = self.path / "result.json"
        self.state = self.path / "state"
        if resume and overwrite:
            raise RecipeError("resume and overwrite exclude each other; give one of them.")
        self._claim(config, resume, overwrite)

    def _claim(self, config: RecipeConfig, resume: bool, overwrite: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RecipeError(f"The run folder {self.path} is a file; give another --out.")
        filled = self.path.is_dir() and any(self.path.iterdir())
        if filled and not (resume or overwrite):
            raise RecipeError(
                f"The run folder {self.path} is not empty. Go on with --resume, start afresh "
                "with --overwrite, or give another --out."
            )
        if filled and not self.result_path.exists():
            raise RecipeError(
                f"The folder {self.path} holds files but no result.json, so it is no run of "
                "kcnn and is left alone. Give another --out."
            )
        if filled and overwrite:
            shutil.rmtree(self.path)
        if filled and resume:
            self._check_same(config)
        self.state.mkdir(parents=True, exist_ok=True)

    def _check_same(self, config: RecipeConfig) -> None:
        before = self.read().get("config", {})
        for field, now in config.to_dict().items():
            if field not in _FREE_ON_RESUME and before.get(field, now) != now:
                raise RecipeError(
                    f"The run in {self.path} had {field}={before[field]!r}, now {now!r}: a "
                    "resumed run keeps its settings. Give the same ones or another --out."
                )

    def read(self) -> dict[str, Any]:
        """The record so far; empty when there is none.

        Raises:
            RecipeError: result.json is not readable as JSON.
        """
        if not self.result_path.exists():
            return {}
        try:
            return json.loads(self.result_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(
                f"{self.result_path} is damaged ({error}). Start afresh with --overwrite."
            ) from None

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record in one move; NaN and infinity become null."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.result_path, record)

    def clear_state(self) -> None:
        """Remove what only an unfinished run needs."""
        shutil.rmtree(self.state, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON in one move: a killed process or a full disk leaves the old file."""
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(jsonable(value), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def jsonable(value: Any) -> Any:
    """The value in plain JSON types; numbers that JSON can't hold become None."""
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
