"""Joins the search of a run that another process leads, on this machine or another."""

import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import optuna

from kcnn.recipe.context import Context
from kcnn.recipe.display import Display
from kcnn.recipe.identity import changes, check_same
from kcnn.recipe.results import read_result
from kcnn.recipe.search_phases import SearchPlan, run_phases
from kcnn.recipe.settings import RecipeError, Settings
from kcnn.recipe.shared_search import ABOUT, open_storage, storage_errors

__all__ = ["work"]

WAITS = 600.0  # seconds for a search to begin
LOOKS_EVERY = 2.0


def work(
    build: Any,
    data: Any,
    *,
    out: str | Path | None = None,
    display: Display | None = None,
    wait: float = WAITS,
    storage: str | None = None,
    **described: Any,
) -> int:
    """Train trials of a run's search until all have ended; how many were trained here.

    Args:
        build, data, **described: as the run has them; what describes model and data, and the
            fields of `Settings`.
        out: the run's folder, whose journal file is the storage if none is set.
        wait: seconds for the search to begin.
        storage: as the run has it.

    Raises:
        RecipeError: the run has other data, another model, other settings or another version,
            with what differs; no search has begun; the storage can't be reached.
    """
    display = display or Display()
    if out is None and storage is None:
        raise RecipeError("A worker needs the run's folder or its storage.")
    state = Path(out) / "state" if out is not None else Path(tempfile.mkdtemp())
    names = [field.name for field in fields(Settings) if field.name != "optimizer"]
    settings = {name: described.pop(name) for name in names if name in described}
    asked = Settings(storage=storage, **settings)
    context = Context(build, data, asked, state, display=display, **described)
    with storage_errors(storage or str(state)):
        opened, about = _announced(storage, state, context.identity, wait, display)
        context.run_id, context.data.augmented_by = about["run"], about["augmented_by"]
        display.say(f"Working on the search of run {about['run']}.")
        rows, _ = run_phases(
            context,
            context.space.around(about["rate"]),
            opened,
            read_result(SearchPlan, about["plan"]),
        )
    done = sum(row["seconds"] is not None for row in rows)
    display.say(f"The search has ended with {done} trials.")
    return done


def _announced(
    where: str | None, state: Path, identity: dict[str, Any], wait: float, display: Display
) -> tuple[Any, dict[str, Any]]:
    """The storage, and what the newest run of this identity in it says about itself."""
    until = time.monotonic() + wait
    said = False
    while True:
        if where is None and not state.is_dir():
            storage, runs = None, []
        else:
            storage = open_storage(where, state)
            summaries = optuna.get_all_study_summaries(storage)
            runs = [s.user_attrs[ABOUT] for s in summaries if ABOUT in s.user_attrs]
        same = [r for r in runs if not changes(r["identity"], identity)]
        if same:
            return storage, max(same, key=lambda r: r["began"])
        if runs:
            newest = max(runs, key=lambda r: r["began"])
            check_same(newest["identity"], identity, "The run that this worker would join")
        if time.monotonic() > until:
            raise RecipeError(
                f"No search has begun in {where or state} within {wait:.0f} s; start the run "
                "first, with the same --storage."
            )
        if not said:
            display.say("Waiting for the search to begin …", "dim")
            said = True
        time.sleep(LOOKS_EVERY)
