"""Step 3 on the page: the loss at each rate, and the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.report import Block, Cell, Columns, Findings, Note, Plot, Row, Table
from kcnn.report.axes import from_to, numbers
from kcnn.report.canvas import SPECTRUM, axes, legend, log_ticks
from kcnn.report.words import num, rate

__all__ = ["SMOOTHED_OVER", "rates_page"]

SMOOTHED_OVER = 10  # iterations, of the thick lines


def rates_page(result: Any, findings: Sequence[dict[str, Any]]) -> list[Block]:
    """The step's part of the page, of its `LearningRates`."""
    ordered = sorted(result.curves, key=lambda row: -row.lr)
    colors = {row.lr: SPECTRUM[i % len(SPECTRUM)] for i, row in enumerate(ordered)}
    rows = tuple(
        Row(
            (Cell(rate(r.lr), r.lr, colors[r.lr]), r.verdict, r.reason),
            "← pick" if r.lr == result.suggestion else "",
        )
        for r in ordered
    )
    note = (
        f"Weight decay {rate(result.weight_decay)}, {result.iterations} iterations each, "
        "all from the same initial weights."
    )
    plot = tuple(p for p in [_plot(ordered, result.suggestion, colors)] if p is not None)
    return [
        Columns((plot, (Findings(findings),)), wide=True),
        Table("Verdict on each learning rate", ("Rate", "Verdict", "Why"), rows),
        Note(note),
    ]


def _plot(rows: Sequence[Any], pick: float | None, named: dict[float, str]) -> Plot | None:
    curves = [(row, numbers(row.losses)) for row in rows]
    curves = [(row, losses) for row, losses in curves if np.isfinite(losses).any()]
    if not curves:
        return None
    low, high = _window([losses for _, losses in curves])

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="iteration", y="loss of the batch")
        for row, losses in curves:
            steps = np.arange(1, len(losses) + 1)
            color = colors[named[row.lr]]
            label = f"{rate(row.lr)}{' (pick)' if row.lr == pick else ''}"
            ax.plot(steps, losses, color=color, linewidth=0.8, alpha=0.28)
            width = 3.0 if row.lr == pick else 1.7
            ax.plot(steps, _smooth(losses), color=color, linewidth=width, label=label)
            _mark_end(ax, _smooth(losses), high, color)
        ax.set_ylim(low * 0.85 if high > 20 * low else 0, high)
        if high > 20 * low:
            ax.set_yscale("log")
            log_ticks(ax.yaxis, (low, high), num)
        legend(ax, colors, columns=min(5, len(curves)))

    gone = any(_last_inside(_smooth(losses), high) is not None for _, losses in curves)
    said = [f"{rate(r.lr)} {r.verdict}, {from_to(losses)}" for r, losses in curves]
    return Plot(
        "learning-rates",
        "Loss at each learning rate, from the same start",
        f"Loss per iteration at {len(curves)} learning rates: {'; '.join(said)}.",
        f"Thin: each batch. Thick: mean of the last {SMOOTHED_OVER}."
        + (" A cross is where a rate left the picture for good." if gone else ""),
        draw,
        (5.6, 3.8),
    )


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean of the last ten, to lead the eye; a gap where the value itself is one."""
    smooth = np.full(len(values), np.nan)
    for i in np.flatnonzero(np.isfinite(values)):
        recent = values[max(0, i - SMOOTHED_OVER + 1) : i + 1]
        smooth[i] = recent[np.isfinite(recent)].mean()
    return smooth


def _last_inside(losses: np.ndarray, high: float) -> int | None:
    """The last index before a curve leaves the picture, None if it stays (or never was in it)."""
    inside = np.flatnonzero(np.nan_to_num(losses, nan=np.inf) <= high)
    return int(inside[-1]) if inside.size and inside[-1] < len(losses) - 1 else None


def _mark_end(ax: Any, losses: np.ndarray, high: float, color: str) -> None:
    """A cross where a curve leaves the picture, upwards or into NaN, not to come back."""
    last = _last_inside(losses, high)
    if last is not None:
        height = high if np.nan_to_num(losses[last + 1], nan=0.0) > high else losses[last]
        cross: dict[str, Any] = {
            "markersize": 8,
            "markeredgewidth": 2.2,
            "clip_on": False,
            "in_layout": False,
        }
        ax.plot(last + 1 + (height == high), height, "x", color=color, **cross)


def _window(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """What the eye needs: from the lowest loss to a few times the start."""
    smooth = [_smooth(losses) for losses in curves]
    seen = np.concatenate([s[np.isfinite(s)] for s in smooth])
    start = float(np.median([losses[np.isfinite(losses)][0] for losses in curves]))
    low = max(float(seen.min()), 1e-6)
    return low, max(min(float(seen.max()) * 1.05, 3.0 * start), 1.3 * start, 1.2 * low)
