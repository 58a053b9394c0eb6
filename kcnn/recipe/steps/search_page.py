"""The search's part of the page: slices, parallel coordinates, and its trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.report import Block, Cell, Columns, Findings, Note, Plot, Row, Table
from kcnn.report.axes import percent_axis
from kcnn.report.canvas import SERIES, axes, legend, log_ticks
from kcnn.report.words import duration, loss, num, number, percent, rate

__all__ = ["hp_words", "search_page"]

SHOWN_TRIALS = 200  # in the table, the best ones
SHOWN_SLICES = 8  # parameters with a plot of their own


def hp_words(value: Any) -> str:
    """A hyperparameter's value as a reader wants it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return rate(value)
    return str(value)


def search_page(result: dict[str, Any], findings: Sequence[dict[str, Any]]) -> list[Block]:
    """Blocks of a search's result, as `asdict` gives it."""
    names = list(result["space"])
    trials = sorted(result["trials"], key=_rank)
    told = f"{result['sampler']} search, {len(trials)} trials, {_pruning(result['pruner'])}"
    best = next((t for t in trials if t["number"] == result["best"]), None)
    slices = [_slice(name, result, trials) for name in names[:SHOWN_SLICES]]
    drawn = [plot for plot in slices if plot is not None]
    words: tuple[Block, ...] = (Findings(findings), Note(f"{told}."))
    blocks: list[Block] = [Columns((tuple(drawn[:1]), words), wide=True)] if drawn else [*words]
    if len(drawn) > 1:
        blocks.append(Columns(tuple((plot,) for plot in drawn[1:])))
    parallel = _parallel(names, trials, best)
    if parallel is not None:
        blocks.append(parallel)
    blocks.append(_table(names, trials[:SHOWN_TRIALS], best))
    blocks.append(Note(_space_words(result)))
    return blocks


def _table(names: list[str], trials: list[dict[str, Any]], best: Any) -> Table:
    columns = ("Trial", *(n.replace("_", " ").capitalize() for n in names))
    columns += ("Train loss", "Val. loss", "Val. accuracy", "Epochs", "Time", "State")
    rows = []
    for t in trials:
        values = [Cell(hp_words(t["hp"].get(n)), _value(t["hp"].get(n))) for n in names]
        scores = (
            Cell(loss(t["train_loss"]), t["train_loss"]),
            Cell(loss(t["val_loss"]), t["val_loss"]),
            Cell(percent(t["val_accuracy"]), t["val_accuracy"]),
            Cell(num(t["epochs"]), t["epochs"]),
            Cell(duration(t["seconds"]), t["seconds"]),
        )
        cells: tuple[Cell | str, ...] = (
            Cell(str(t["number"]), t["number"]),
            *values,
            *scores,
            str(t["state"]),
        )
        rows.append(Row(cells, "best" if t is best else ""))
    numeric = frozenset(range(len(columns) - 1))
    return Table("Trials of the search", columns, tuple(rows), numeric, sortable=True)


def _slice(name: str, result: dict[str, Any], trials: list[dict[str, Any]]) -> Plot | None:
    """The score of each trial against one parameter."""
    points = [t for t in trials if t["hp"].get(name) is not None]
    scored = [t for t in points if t["state"] == "finished" and _score(t) is not None]
    varied = {repr(t["hp"][name]) for t in points}
    if len(scored) < 2 or len(varied) < 2:
        return None
    numeric = all(_value(t["hp"][name]) is not None for t in points)
    log = numeric and bool(result["space"].get(name, {}).get("log"))
    labels = [] if numeric else sorted({str(t["hp"][name]) for t in points})
    accuracy = all(t["val_accuracy"] is not None for t in scored)
    lost = [t for t in points if t not in scored]

    def at(trial: dict[str, Any]) -> float:
        value = trial["hp"][name]
        return float(value) if numeric else float(labels.index(str(value)))

    def draw(figure, colors) -> None:
        words = name.replace("_", " ")
        score = "validation accuracy" if accuracy else "validation loss"
        ax = axes(figure, colors, x=words, y=score)
        if log:
            ax.set_xscale("log")
        for phase in sorted({t["phase"] for t in scored}):
            of = [t for t in scored if t["phase"] == phase]
            label = "whole space" if phase == 1 else "narrowed"
            style: dict[str, Any] = {"s": 46, "alpha": 0.85, "linewidths": 0, "label": label}
            color = colors[SERIES[(phase - 1) % len(SERIES)]]
            ax.scatter([at(t) for t in of], [_shown(t, accuracy) for t in of], color=color, **style)
        if accuracy:
            percent_axis(ax, np.array([t["val_accuracy"] for t in scored]))
        for best in (t for t in scored if t["number"] == result["best"]):
            ring: dict[str, Any] = {"facecolors": "none", "edgecolors": colors["good"]}
            ax.scatter(
                [at(best)], [_shown(best, accuracy)], s=190, linewidths=2.2, label="best", **ring
            )
        if lost:
            floor = np.full(len(lost), ax.get_ylim()[0])
            cross: dict[str, Any] = {"marker": "x", "color": colors["bad"], "clip_on": False}
            ax.scatter([at(t) for t in lost], floor, s=40, label="pruned or diverged", **cross)
        if log:
            log_ticks(ax.xaxis, ax.get_xlim(), rate)
        elif labels:
            ax.set_xticks(range(len(labels)), labels)
        legend(ax, colors, columns=4)

    return Plot(
        f"search-{name.replace('_', '-')}",
        f"Score against {name.replace('_', ' ')}",
        f"{len(scored)} finished trials by {name.replace('_', ' ')} and score; "
        f"{len(lost)} were pruned or diverged.",
        "",
        draw,
    )


def _parallel(names: list[str], trials: list[dict[str, Any]], best: Any) -> Plot | None:
    """Every trial as a line over all parameters, each on its own scale."""
    scored = [t for t in trials if t["state"] == "finished" and _score(t) is not None]
    shown = [n for n in names if len({repr(t["hp"].get(n)) for t in scored}) > 1]
    if len(scored) < 3 or len(shown) < 2:
        return None
    heights = {n: _heights([t["hp"].get(n) for t in scored]) for n in shown}
    order = np.argsort([_score(t) or 0.0 for t in scored])

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="", y="")
        ax.grid(visible=False)
        places = np.arange(len(shown) + 1)
        for rank, i in enumerate(order[::-1]):
            good = rank / max(1, len(order) - 1)  # 1 for the best, drawn last
            ys = [heights[n][i] for n in shown] + [good]
            chosen = scored[i] is best
            color = colors["good"] if chosen else colors["c1"]
            width = 2.8 if chosen else 1.2
            ax.plot(
                places, ys, color=color, linewidth=width, alpha=1.0 if chosen else 0.15 + 0.6 * good
            )
        ax.set_xticks(places, [*(n.replace("_", " ") for n in shown), "rank"])
        ax.set_yticks([0, 1], ["low", "high"])
        for x in places:
            ax.axvline(float(x), color=colors["grid"], linewidth=1.0)

    return Plot(
        "search-parallel",
        "All parameters of each trial",
        f"Parallel coordinates of {len(scored)} trials over {', '.join(shown)} and their rank.",
        "A line is a trial; the stronger, the better; green: the best.",
        draw,
    )


def _heights(values: list[Any]) -> list[float]:
    """Places between 0 and 1, by rank for what is no number; the middle where there is none."""
    known = [_value(v) for v in values]
    if any(v is None for v in known):
        words = sorted({str(v) for v in values})
        return [words.index(str(v)) / max(1, len(words) - 1) for v in values]
    numbers = np.array(known, dtype=float)
    if numbers.min() > 0 and numbers.max() > 20 * numbers.min():
        numbers = np.log(numbers)
    spread = numbers.max() - numbers.min()
    return list((numbers - numbers.min()) / spread) if spread else [0.5] * len(values)


def _space_words(result: dict[str, Any]) -> str:
    def range_of(p: dict[str, Any]) -> str:
        if "choices" in p:
            return " or ".join(hp_words(c) for c in p["choices"])
        return f"{rate(p.get('low'))} to {rate(p.get('high'))}"

    told = "; ".join(f"{n.replace('_', ' ')} {range_of(p)}" for n, p in result["space"].items())
    if not result["narrowed"]:
        return f"Searched: {told}."
    smaller = result["narrowed"]
    then = "; ".join(f"{n.replace('_', ' ')} {range_of(p)}" for n, p in smaller.items())
    return (
        f"Searched: {told}. Then around the best quarter of the trials, in log units, with a "
        f"quarter of their range added on each side: {then}."
    )


def _pruning(name: str) -> str:
    return {
        "median": "a trial ends early when its validation loss is above the median of the others",
        "asha": "trials end early by successive halving",
    }.get(name, "no trial is ended early")


def _rank(trial: dict[str, Any]) -> tuple[bool, float]:
    value = number(trial["val_loss"])
    return trial["state"] != "finished", math.inf if math.isnan(value) else value


def _score(trial: dict[str, Any]) -> float | None:
    value = trial["val_loss"]
    return value if value is not None and math.isfinite(value) else None


def _shown(trial: dict[str, Any], accuracy: bool) -> float:
    return float(trial["val_accuracy"] if accuracy else trial["val_loss"])


def _value(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known else None
