"""What the plots of trainings share: lines over epochs, marks, and the scales of their axes."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kcnn.report.canvas import log_ticks
from kcnn.report.words import num

__all__ = [
    "curve", "epoch_axis", "from_to", "log_if_wide", "numbers", "percent_axis", "top",
]  # fmt: skip


def numbers(values: Any) -> np.ndarray:
    """A float64 vector, NaN where there is None."""
    return np.array([math.nan if v is None else float(v) for v in values or ()], dtype=np.float64)


def curve(ax: Axes, values: np.ndarray, color: str, label: str, **style: Any) -> None:
    """A line over 1, 2, …; single points are marked, or they would not show."""
    if not np.isfinite(values).any():
        return
    mark = "o" if len(values) <= 12 else None
    style = {"linewidth": 1.8, "marker": mark, "markersize": 3.5, "color": color, **style}
    ax.plot(np.arange(1, len(values) + 1), values, label=label, **style)


def log_if_wide(ax: Axes, values: np.ndarray) -> None:
    """A log axis where a loss falls by more than a factor of 20, else one from zero.

    An exploding loss leaves the picture at a thousand times its first value.
    """
    seen = values[np.isfinite(values)]
    if seen.size and seen.max() > 20 * max(seen.min(), 1e-12) and seen.max() > 0:
        high = min(seen.max() * 1.4, 1e3 * seen[0]) if seen[0] > 0 else seen.max() * 1.4
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylim(max(seen.min() * 0.7, 1e-8 * high), high)
        log_ticks(ax.yaxis, ax.get_ylim(), num)
    elif seen.size and seen.min() >= 0:
        ax.set_ylim(bottom=0)


def percent_axis(ax: Axes, *series: np.ndarray) -> None:
    """Accuracies in percent, from a round number below the lowest to 100 %."""
    seen = np.concatenate([s[np.isfinite(s)] for s in series])
    low = max(0.0, math.floor(10 * seen.min() - 0.5) / 10) if seen.size else 0.0
    ax.set_ylim(min(low, 0.9), 1.0 + 0.03 * (1.0 - min(low, 0.9)))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def epoch_axis(ax: Axes) -> None:
    """Whole epochs."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def top(values: np.ndarray) -> float:
    """The largest finite value, NaN without one."""
    return float(np.nanmax(values)) if np.isfinite(values).any() else math.nan


def from_to(values: np.ndarray, show=num) -> str:
    """'from 2.3 to 0.04', for the alt texts."""
    seen = values[np.isfinite(values)]
    ending = "" if len(seen) == len(values) else ", then NaN or infinite"
    return f"from {show(seen[0])} to {show(seen[-1])}{ending}" if seen.size else "not recorded"
