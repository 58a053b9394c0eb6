"""What a run shows in the terminal: steps, progress and findings, all through rich."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kcnn.callbacks import Finding
from kcnn.recipe.clock import Clock
from kcnn.recipe.training import Score
from kcnn.report.words import duration

__all__ = ["Bar", "Display"]

_MARKS = {
    "ok": ("✓", "green"),
    "note": ("i", "cyan"),
    "warning": ("!", "yellow"),
    "failure": ("✗", "red"),
}
LINE_EVERY = 60.0  # seconds between lines of progress where there is no terminal


class Bar:
    """How far something is, of a total if that is known; callbacks for `model.fit` move it."""

    def __init__(self, display: "Display", title: str, total: int | None, progress: Progress):
        self._display, self._title, self._total = display, title, total
        self._progress, self._task = progress, progress.add_task(title, total=total, note="")
        self._offset = 0.0
        self._note = ""
        self._began = self._said = time.monotonic()
        self._first: float | None = None

    def moved(self, offset: float) -> "Bar":
        """The same bar; from now on `offset` is added to what is done."""
        self._offset = offset
        return self

    def show(self, done: float, note: str | None = None) -> None:
        """Set how much is done and what is said beside it."""
        self._note = self._note if note is None else note
        now, done = time.monotonic(), done + self._offset
        self._first = done if self._first is None else self._first
        told = self._note
        moved = done - self._first
        here = None
        if self._total is not None and moved > 0:
            here = (now - self._began) / moved * (self._total - done)
        left = self._display.remaining(here)
        if left is not None:
            told = ", ".join([*filter(None, [told]), f"about {duration(left)} left in all"])
        self._progress.update(self._task, completed=done, note=told)
        if now - self._said >= LINE_EVERY:
            self._said = now
            self._display.progressed(self._title, done, self._total, told)

    def per_epoch(self) -> keras.callbacks.Callback:
        """Moves one step an epoch and says the validation scores."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.show(epoch + 1, Score.of(logs or {}).told())
        )

    def pulse(self, epochs: int) -> keras.callbacks.Callback:
        """Says the epoch of a training that is one step of the bar."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._progress.update(
                self._task, note=f"epoch {epoch + 1}/{epochs}, {Score.of(logs or {}).told()}"
            )
        )


class Display:
    """The terminal of a run; `Display(Console(quiet=True))` says nothing.

    Args:
        console: where to print; the terminal if None.
        log_json: a file to which every event is added as a line of JSON.

    Attributes:
        later: seconds that the steps after the present one will take; None: not known.
        clock: of the run, where it may take so long and no longer.

    >>> from kcnn.recipe import Display
    >>> Display().say("half of it is done")
    half of it is done
    """

    later: float | None = None
    clock: Clock | None = None

    def __init__(self, console: Console | None = None, *, log_json: str | Path | None = None):
        self.console = console or Console(highlight=False)
        self._log_json = None if log_json is None else Path(log_json)

    def remaining(self, here: float | None) -> float | None:
        """Seconds until the run's end, with so many left in the present step."""
        if self.clock is not None and self.clock.left is not None:
            return self.clock.left
        return None if here is None or self.later is None else here + self.later

    def event(self, kind: str, **values: Any) -> None:
        """Add a line to the JSON log, where there is one."""
        if self._log_json is None:
            return
        from kcnn.recipe.files import jsonable

        line = json.dumps(jsonable({"time": round(time.time(), 3), "event": kind, **values}))
        with self._log_json.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def say(self, text: str, style: str = "") -> None:
        """Print one line as it is, without markup."""
        self.console.print(Text(text, style=style))
        if text.strip():
            self.event("message", text=text.strip())

    def step(self, number: int, title: str, *, kept: bool = False) -> None:
        """Announce a step; `kept` says it was finished by an earlier run."""
        kept_note = "  (kept from before)" if kept else ""
        self.console.print()
        self.console.print(Text(f"{number}  {title}{kept_note}", style="bold"))
        self.event("step", number=number, title=title, kept=kept)

    def finding(self, finding: Finding) -> None:
        """Print what an instrument found, and what to do unless all is well."""
        mark, style = _MARKS[finding.severity]
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=3, justify="right")
        grid.add_column()
        grid.add_row(Text(mark, style=f"bold {style}"), Text(finding.seen))
        if finding.expected:
            grid.add_row("", Text(f"expected {finding.expected}", style="dim"))
        if finding.advice and finding.severity != "ok":
            grid.add_row("", Text(f"→ {finding.advice}", style=style))
        self.console.print(grid)
        self.event("finding", **finding.to_dict())

    def progressed(self, title: str, done: float, total: int | None, note: str) -> None:
        """Say how far it is where no bar can be seen."""
        if not self.console.is_terminal:
            of = "" if total is None else f" of {total}"
            self.console.print(Text(f"    {title}: {done:.0f}{of}  {note}", style="dim"))
        self.event("progress", title=title, done=done, total=total, note=note)

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Bar]:
        """A bar that is there while the block runs."""
        with Progress(
            TextColumn("    {task.description}", style="dim"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as progress:
            yield Bar(self, title, total, progress)
