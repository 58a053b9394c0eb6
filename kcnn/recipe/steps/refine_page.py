"""The longer trainings' part of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.steps.search_page import hp_words
from kcnn.report import Block, Cell, Columns, Findings, Heading, Note, Plot, Row, Table
from kcnn.report.axes import curve, epoch_axis, numbers, percent_axis, top
from kcnn.report.canvas import SERIES, axes, legend
from kcnn.report.words import duration, loss, num, percent, rate

__all__ = ["refine_page"]


def refine_page(result: Any, findings: Sequence[dict[str, Any]]) -> list[Block]:
    """Blocks of a `Refined`: its curves, its runs, and the two regimes of transfer."""
    names = list(dict.fromkeys(name for run in result.runs for name in run.hp))
    columns = ("Run", *(n.replace("_", " ").capitalize() for n in names))
    columns += ("Best epoch", "Val. loss", "Val. accuracy")
    rows = []
    for i, run in enumerate(result.runs):
        cells: tuple[Cell | str, ...] = (
            str(i + 1),
            *(hp_words(run.hp.get(n)) for n in names),
            f"{num(run.best_epoch)} of {num(run.epochs)}",
            Cell(loss(run.val_loss), run.val_loss),
            Cell(percent(run.val_accuracy), run.val_accuracy),
        )
        rows.append(Row(cells, "best" if i == result.best else ""))
    numeric = frozenset(range(1, len(columns)))
    plot = tuple(p for p in [_plot(result.runs, result.best)] if p is not None)
    return [
        Columns((plot, (Findings(findings), *_regimes(result))), wide=True),
        Table("Longer runs", columns, tuple(rows), numeric),
    ]


def _regimes(result: Any) -> list[Block]:
    """The two ways to transfer side by side: the best run of each."""
    if result.regimes is None:
        return []
    found: dict[str, Any] = {}
    for run in result.runs:
        best = found.get(run.regime)
        if best is None or run is result.best_run or (run.score and best.score is None):
            found[run.regime] = run
    measures: dict[str, Callable[[Any], str]] = {
        "Validation accuracy": lambda run: percent(run.val_accuracy),
        "Validation loss": lambda run: loss(run.val_loss),
        "Rate of the head": lambda run: rate(run.hp.get("learning_rate")),
        "Rate of the body": lambda run: hp_words(run.hp.get("body_learning_rate")),
        "Epochs": lambda run: num(run.epochs),
        "Time": lambda run: duration(run.seconds),
    }
    rows = tuple(Row((w, *(told(run) for run in found.values()))) for w, told in measures.items())
    columns = ("", *(name.capitalize() for name in found))
    words = f"Recommended by the data: {result.regimes.reason}"
    notes = [Note(words)] + ([Note(f"{result.regimes.note}.")] if result.regimes.note else [])
    table = Table("Frozen or fine-tuned", columns, rows, frozenset(range(1, len(columns))))
    return [Heading(table.label), table, *notes]


def _plot(runs: Sequence[Any], best: int | None) -> Plot | None:
    """Validation scores of the longer runs above their learning-rate schedules."""
    series = []
    for i, run in enumerate(runs):
        key = accuracy_key(run.history)
        score = numbers(run.history.get(f"val_{key or 'loss'}"))
        label = f"run {i + 1}: rate {rate(run.hp.get('learning_rate'))}"
        series.append((i, label, score, numbers(run.history.get("learning_rate"))))
    series = [s for s in series if np.isfinite(s[2]).any()]
    if not series:
        return None
    accuracy = accuracy_key(runs[series[0][0]].history) is not None
    name = "validation accuracy" if accuracy else "validation loss"

    def draw(figure, colors) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(2.2, 1))
        upper = axes(figure, colors, x="", y=name, place=(grid[0],))
        lower = axes(figure, colors, x="epoch", y="learning rate", place=(grid[1],))
        for i, label, score, lr in series:
            style = {"linewidth": 2.4 if i == best else 1.4}
            color = colors[SERIES[i % len(SERIES)]]
            curve(upper, score, color, label, **style)
            curve(lower, lr, color, label, **style)
        if accuracy:
            percent_axis(upper, *(s[2] for s in series))
        epoch_axis(upper)
        epoch_axis(lower)
        upper.tick_params(labelbottom=False)
        lower.set_ylim(bottom=0)
        legend(upper, colors, columns=1 if len(series) < 4 else 2)

    show = percent if accuracy else num
    tops = [f"{label}, at most {show(top(score))}" for _, label, score, _ in series]
    return Plot(
        "refinement",
        f"{name.capitalize()} and learning rate of each longer run",
        f"Refinement: {'; '.join(tops)}.",
        "Above, the thick line is the best run; below, its warmup and cosine decay.",
        draw,
        (5.6, 4.0 + 0.2 * len(series)),
    )
