"""The one style of the lessons' figures: it reads on a white page and on a dark one.

The background is transparent, and every color has a contrast of at least 3 to both pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from kcnn.report import canvas
from kcnn.report.words import num

__all__ = [
    "COLORS",
    "INK",
    "SERIES",
    "axes",
    "bars",
    "dots",
    "histogram",
    "legend",
    "line",
    "log_y",
    "new_figure",
    "save",
    "show",
]

INK = "#787b80"  # as dark on white as it is light on black
COLORS = {
    "ink": INK,
    "muted": INK,
    "grid": "#80808040",
    "good": "#1f9d57",
    "bad": "#d9534f",
    "c1": "#3b82f6",
    "c2": "#d97706",
    "c3": "#1f9d57",
    "c4": "#a061e8",
    "c5": "#dd4b86",
    "c6": "#0e94ab",
    "c7": "#9a7d27",
    "c8": INK,
}
SERIES = tuple(COLORS[f"c{i}"] for i in range(1, 9))
DPI = 110  # 800 pixels wide, and under 60 KB
_FONT: Any = {"font.size": 9.5, "axes.titlesize": 10.0}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, without a background."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.patch.set_alpha(0.0)
    return figure


def axes(figure: Figure, place: tuple = (1, 1, 1), *, x: str, y: str, title: str = "") -> Axes:
    """Quiet axes with their two names."""
    ax = canvas.axes(figure, COLORS, x=x, y=y, place=place)
    if title:
        ax.set_title(title, color=INK, loc="left", pad=24)
    return ax


def line(ax: Axes, x: Sequence[float], runs: Any, color: str, label: str, **style: Any) -> None:
    """The mean of runs (seeds, points), and a band from the least to the most."""
    runs = np.atleast_2d(np.asarray(runs, float))
    marked = {"marker": "o", "markersize": 4, "linewidth": 1.8, **style}
    ax.plot(x, runs.mean(0), color=color, label=label, **marked)
    if len(runs) > 1:
        ax.fill_between(x, runs.min(0), runs.max(0), color=color, alpha=0.2, linewidth=0)


def bars(ax: Axes, names: Sequence[str], runs: Any, colors: Any = None) -> None:
    """Horizontal bars of the means of runs (bars, seeds), a dot for each seed."""
    colors = colors or [SERIES[0]] * len(names)
    for at, (values, color) in enumerate(zip(runs, colors, strict=True)):
        ax.barh(at, np.mean(values), color=color, alpha=0.75, height=0.62)
        ax.plot(values, [at] * len(values), "o", color=INK, markersize=3.5)
    _rows(ax, names)


def dots(ax: Axes, names: Sequence[str], runs: Any, colors: Any) -> None:
    """A dot for each seed of runs (rows, seeds) and a stroke at their mean; no zero is needed."""
    for at, (values, color) in enumerate(zip(runs, colors, strict=True)):
        ax.plot(values, [at] * len(values), "o", color=color, markersize=6, alpha=0.8)
        ax.plot([np.mean(values)], [at], "|", color=color, markersize=20, markeredgewidth=2.2)
    _rows(ax, names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def _rows(ax: Axes, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=COLORS["grid"])


def histogram(ax: Axes, values: Any, bins: Any, color: str) -> None:
    """How often values come, on a logarithmic scale, without numbers for how often."""
    ax.hist(values, bins=bins, color=color)
    ax.set_xscale("log")
    ax.set_yticks([])
    ax.minorticks_off()
    ax.tick_params(colors=INK, labelsize=7, length=0)
    ax.patch.set_alpha(0.0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(INK)


def log_y(ax: Axes) -> None:
    """A logarithmic axis with numbers that are read at once."""
    ax.set_yscale("log")
    canvas.log_ticks(ax.yaxis, ax.get_ylim(), num)


def legend(ax: Axes, columns: int = 3) -> None:
    """Names above the axes."""
    canvas.legend(ax, COLORS, columns=columns)


def show(ax: Axes, image: Any, title: str = "", **options: Any) -> None:
    """A picture without axes."""
    ax.imshow(image, **{"interpolation": "nearest", **options})
    ax.set_axis_off()
    if title:
        ax.set_title(title, color=INK, fontsize=8.5, pad=3)


def save(figure: Figure, file: Path) -> None:
    """Write a PNG with a transparent background; 256 colors are enough for lines."""
    drawn = FigureCanvasAgg(figure)
    with rc_context(_FONT):
        drawn.draw()
    picture = Image.fromarray(np.asarray(drawn.buffer_rgba())).quantize(256)
    picture.save(file, dpi=(DPI, DPI), optimize=True)
