"""Pictures of range tests and sweeps; readable on light and dark pages.

Matplotlib's object interface only: no pyplot, no global state. Backgrounds are
transparent, text and axes a middle gray, lines strong on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kcnn.callbacks.learning_rate import RangeResult, SweepResult

__all__ = ["plot_range", "plot_rates", "plot_sweep"]

GRAY = "#7a7a7a"  # 4.3:1 on white, 4.9:1 on black
COLORS = ("#2f7fd1", "#d9700a", "#1f9d6b", "#c2478f", "#8a63d2", "#b08900", "#0e97a7")
STYLES = ("-", "--", "-.", ":")
SCALE = (COLORS[0], COLORS[4], COLORS[3], COLORS[1])  # many rates, small to large


def plot_range(result: RangeResult, *, ax: Any = None) -> Any:
    """Batch losses of a range test over the rate, smoothed, with every suggestion marked.

    Args:
        result: What `LRFinder` measured.
        ax: Matplotlib axes to draw on; a new figure if None.

    Returns:
        The `matplotlib.figure.Figure`; save it with `savefig`.
    """
    from kcnn.callbacks.learning_rate import centered

    figure, ax = _axes(ax)
    rates, losses = np.asarray(result.rates), np.asarray(result.losses, "float64")
    shown = np.isfinite(losses)
    rates, losses = rates[shown], losses[shown]
    ax.plot(rates, losses, color=GRAY, lw=0.8, alpha=0.7, label="batch loss")
    if losses.size:
        smooth = centered(losses)
        ax.plot(rates, smooth, color=COLORS[0], lw=2, label="smoothed")
        low, high = float(np.min(losses)), float(max(losses[0], np.median(losses)))
        ax.set_ylim(low - 0.1 * (high - low + 1e-9), high + 0.6 * (high - low + 1e-9))
    for i, suggestion in enumerate(result.suggestions):
        chosen = suggestion.lr == result.suggestion
        label = f"{suggestion.name}: {suggestion.lr:.2g}" + (" (suggestion)" if chosen else "")
        color = COLORS[1 + i % (len(COLORS) - 1)]
        style = {"ls": "-", "lw": 2.2} if chosen else {"ls": STYLES[1 + i % 3], "lw": 1.2}
        ax.axvline(suggestion.lr, color=color, label=label, **style)
    ax.set_xscale("log")
    return _finish(figure, ax, "learning rate", "loss", "Range test")


def plot_rates(
    rates: Sequence[float],
    losses: Sequence[Sequence[float]],
    suggestion: float | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Loss over iterations, one line for each rate; the one nearest to the suggestion thick."""
    from kcnn.callbacks.learning_rate import smoothed

    figure, ax = _axes(ax, width=8.5)  # with room for the legend
    colors = _colors(len(rates))
    first = [c[0] for c in losses if len(c) and math.isfinite(c[0])]
    nearest, said = None, ""
    if suggestion is not None:
        nearest = min(rates, key=lambda rate: abs(math.log(rate / suggestion)))
        same = math.isclose(nearest, suggestion, rel_tol=0.01)
        said = " (suggestion)" if same else f" (suggestion: {suggestion:.2g})"
    for i, (rate, curve) in enumerate(zip(rates, losses, strict=True)):
        values = np.asarray(curve, "float64")
        finite = values[np.isfinite(values)]
        if not finite.size:
            continue
        chosen = rate == nearest
        name = f"{rate:.2g}" + (f" {labels[i]}" if labels else "") + (said if chosen else "")
        style = {"lw": 2.8, "zorder": 3} if chosen else {"lw": 1.2, "zorder": 2}
        steps, level = np.arange(1, finite.size + 1), smoothed(finite, 0.8)
        ax.plot(steps, level, color=colors[i], label=name, **style)
    if first:
        ax.set_ylim(top=1.5 * float(np.median(first)), bottom=0 if min(first) >= 0 else None)
    title = "Learning rates from the same start"
    return _finish(figure, ax, "iteration", "loss", title, beside=True)


def plot_sweep(result: SweepResult, *, ax: Any = None) -> Any:
    """The curves of an `LRSweep` with their verdicts; the suggestion thick."""
    rates, losses = [c.lr for c in result.curves], [c.losses for c in result.curves]
    labels = [c.verdict for c in result.curves]
    return plot_rates(rates, losses, result.suggestion, labels=labels, ax=ax)


def _axes(ax: Any, *, width: float = 7) -> tuple[Any, Any]:
    if ax is not None:
        return ax.figure, ax
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4), layout="constrained")
    figure.patch.set_alpha(0.0)
    return figure, figure.add_subplot()


def _colors(count: int) -> list[Any]:
    """Distinct colors for a few lines, a scale for many."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("rates", SCALE)
    return [scale(i / (count - 1)) for i in range(count)]


def _finish(figure: Any, ax: Any, x: str, y: str, title: str, *, beside: bool = False) -> Any:
    ax.patch.set_alpha(0.0)
    ax.set_xlabel(x, color=GRAY)
    ax.set_ylabel(y, color=GRAY)
    ax.set_title(title, color=GRAY)
    ax.tick_params(colors=GRAY, which="both")
    for spine in ax.spines.values():
        spine.set_color(GRAY)
    ax.grid(color=GRAY, alpha=0.25, lw=0.6)
    if ax.get_legend_handles_labels()[0]:
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if beside else {}
        legend = ax.legend(frameon=False, fontsize="small", **place)
        for text in legend.get_texts():
            text.set_color(GRAY)
    return figure
