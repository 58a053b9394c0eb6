"""What a run shows in the terminal: steps, progress and findings, all through rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kcnn.callbacks import Finding

__all__ = ["Bar", "Display"]

_MARKS = {
    "ok": ("✓", "green"),
    "note": ("i", "cyan"),
    "warning": ("!", "yellow"),
    "failure": ("✗", "red"),
}


class Bar:
    """One progress bar; callbacks for `model.fit` move it."""

    def __init__(self, progress: Progress, task: Any):
        self._progress, self._task = progress, task

    def show(self, done: float, note: str | None = None) -> None:
        """Set how much is done and what is said beside it."""
        self._progress.update(self._task, completed=done)
        if note is not None:
            self._progress.update(self._task, note=note)

    def per_batch(self) -> keras.callbacks.Callback:
        """Moves one step a batch."""
        return keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: self.show(batch + 1)
        )

    def per_epoch(self) -> keras.callbacks.Callback:
        """Moves one step an epoch and says the validation scores."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.show(epoch + 1, _scores(logs or {}))
        )

    def pulse(self, epochs: int) -> keras.callbacks.Callback:
        """Says the epoch of a training that is one step of the bar."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._progress.update(
                self._task, note=f"epoch {epoch + 1}/{epochs}, {_scores(logs or {})}"
            )
        )


class Display:
    """The terminal of a run; `Display(Console(quiet=True))` says nothing."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """Print one line as it is, without markup."""
        self.console.print(Text(text, style=style))

    def step(self, number: int, title: str, *, kept: bool = False) -> None:
        """Announce a step; `kept` says it was finished by an earlier run."""
        kept_note = "  (kept from before)" if kept else ""
        self.console.print()
        self.console.print(Text(f"{number}  {title}{kept_note}", style="bold"))

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

    def rates(self, curves: list[dict[str, Any]], pick: float | None) -> None:
        """Print the verdict on each learning rate, the pick marked."""
        table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        for column in ("", "rate", "first loss", "last loss", "verdict"):
            table.add_column(column, justify="right" if "loss" in column else "left")
        for curve in curves:
            chosen = curve["lr"] == pick
            table.add_row(
                "   →" if chosen else "    ",
                f"{curve['lr']:.0e}",
                _mean(curve["losses"][:1]),
                _mean(curve["losses"][-10:]),
                curve["verdict"],
                style="bold" if chosen else "",
            )
        self.console.print(table)

    def trials(self, trials: list[dict[str, Any]], best: int | None) -> None:
        """Print the trials of the search from best to worst."""
        table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        for column in ("", "rate", "decay", "batch", "width", "val loss", "val accuracy"):
            table.add_column(column, justify="left" if not column else "right")
        worst = float("inf")
        for trial in sorted(trials, key=lambda t: t["val_loss"] or worst):
            chosen = trial["number"] == best
            table.add_row(
                "   →" if chosen else "    ",
                f"{trial['lr']:.1e}",
                f"{trial['weight_decay']:.1e}",
                str(trial["batch_size"]),
                f"{trial['width']:g}",
                *_trial_scores(trial),
                style="bold" if chosen else "",
            )
        self.console.print(table)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Bar]:
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
            yield Bar(progress, progress.add_task(title, total=total, note=""))


def _mean(losses: list[float]) -> str:
    return f"{sum(losses) / len(losses):.3f}" if losses else "–"


def _scores(logs: dict[str, float]) -> str:
    if "val_accuracy" not in logs:
        return ""
    return f"validation loss {logs['val_loss']:.3f}, accuracy {logs['val_accuracy']:.1%}"


def _trial_scores(trial: dict[str, Any]) -> tuple[str, str]:
    if trial["state"] != "finished":
        return "diverged", "–"
    return f"{trial['val_loss']:.3f}", f"{trial['val_accuracy']:.1%}"
