"""Trials as pictures: by one parameter, over all of them, by rate, and with their schedules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcnn.report.axes import curve, epoch_axis, from_to, numbers, percent_axis, top
from kcnn.report.canvas import SERIES, Plot, axes, legend, log_ticks
from kcnn.report.words import num, percent, rate, setting

__all__ = ["SMOOTHED_OVER", "Point", "parallel_plot", "schedules_plot", "slice_plot", "sweep_plot"]

SMOOTHED_OVER = 10  # iterations, of the thick lines of a sweep


@dataclass(frozen=True)
class Point:
    """A trial: its settings, its score (None where it did not end), what it is drawn as."""

    values: Mapping[str, Any]
    score: float | None
    series: str
    best: bool = False


def slice_plot(
    name: str, points: Sequence[Point], *, accuracy: bool, log: bool = False, few: bool = False
) -> Plot | None:
    """The score of each trial against one parameter; None where there is nothing to see.

    Args:
        name: of the parameter.
        points: trials, those without it are left out.
        accuracy: whether scores are accuracies, else losses.
        log: whether numbers stand on a log scale.
        few: whether each value has a place of its own, as words have.
    """
    there = [p for p in points if p.values.get(name) is not None]
    scored = [p for p in there if p.score is not None]
    lost = [p for p in there if p.score is None]
    if len(scored) < 2 or len({repr(p.values[name]) for p in there}) < 2:
        return None
    labels = _labels([p.values[name] for p in there], few)
    words = name.replace("_", " ")

    def at(some: Sequence[Point]) -> list[float]:
        values = [p.values[name] for p in some]
        return [labels.index(setting(v)) if labels else float(v) for v in values]

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x=words, y=f"validation {'accuracy' if accuracy else 'loss'}")
        if log and not labels:
            ax.set_xscale("log")
        for i, series in enumerate(sorted({p.series for p in scored}, reverse=True)):
            of = [p for p in scored if p.series == series]
            style: dict[str, Any] = {"s": 46, "alpha": 0.85, "linewidths": 0, "clip_on": False}
            style["label"] = series
            color = colors[SERIES[i % len(SERIES)]]
            ax.scatter(at(of), [p.score or 0.0 for p in of], color=color, **style)
        if accuracy:
            percent_axis(ax, np.array([p.score for p in scored]))
        best = [p for p in scored if p.best]
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": colors["good"], "s": 190}
        ring |= {"linewidths": 2.2, "clip_on": False, "label": "best"}
        ax.scatter(at(best), [p.score or 0.0 for p in best], **ring)
        if lost:
            floor = np.full(len(lost), ax.get_ylim()[0])
            cross: dict[str, Any] = {"marker": "x", "color": colors["bad"], "clip_on": False}
            ax.scatter(at(lost), floor, s=40, label="pruned or diverged", **cross)
        if labels:
            ax.set_xticks(range(len(labels)), labels)
        elif log:
            log_ticks(ax.xaxis, ax.get_xlim(), rate)
        legend(ax, colors, columns=4)

    return Plot(
        f"search-{name.replace('_', '-')}",
        f"Score against {words}",
        f"{len(scored)} finished trials by {words} and score; {len(lost)} were pruned or diverged.",
        "",
        draw,
    )


def parallel_plot(names: Sequence[str], points: Sequence[Point]) -> Plot | None:
    """Every trial that ended as a line over all parameters, each on its own scale; best first."""
    scored = [p for p in points if p.score is not None]
    shown = [n for n in names if len({repr(p.values.get(n)) for p in scored}) > 1]
    if len(scored) < 3 or len(shown) < 2:
        return None
    heights = [_heights([p.values.get(n) for p in scored]) for n in shown]
    heights.append(np.linspace(1.0, 0.0, len(scored)))

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="", y="")
        ax.grid(visible=False)
        places = np.arange(len(heights))
        ax.set_xlim(-0.4, len(heights) - 0.6)  # room for the first and the last name
        for point, ys in reversed(list(zip(scored, np.transpose(heights), strict=True))):
            style: dict[str, Any] = {"color": colors["c1"], "alpha": 0.15 + 0.6 * ys[-1]}
            if point.best:
                style = {"color": colors["good"], "linewidth": 2.8}
            ax.plot(places, ys, **{"linewidth": 1.2, **style})
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


def schedules_plot(
    runs: Sequence[tuple[str, np.ndarray, np.ndarray]], *, best: int | None, accuracy: bool
) -> Plot | None:
    """Validation scores by epoch above their learning rates, of (name, scores, rates)."""
    series = [(i, *run) for i, run in enumerate(runs) if np.isfinite(run[1]).any()]
    if not series:
        return None
    name = "validation accuracy" if accuracy else "validation loss"

    def draw(figure, colors) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(2.2, 1))
        upper = axes(figure, colors, x="", y=name, place=(grid[0],))
        lower = axes(figure, colors, x="epoch", y="learning rate", place=(grid[1],))
        for i, label, scores, rates in series:
            style = {"linewidth": 2.4 if i == best else 1.4}
            color = colors[SERIES[i % len(SERIES)]]
            curve(upper, scores, color, label, **style)
            curve(lower, rates, color, label, **style)
        if accuracy:
            percent_axis(upper, *(scores for _, _, scores, _ in series))
        epoch_axis(upper)
        epoch_axis(lower)
        upper.tick_params(labelbottom=False)
        lower.set_ylim(bottom=0)
        legend(upper, colors, columns=1 if len(series) < 4 else 2)

    show = percent if accuracy else num
    tops = [f"{label}, at most {show(top(scores))}" for _, label, scores, _ in series]
    return Plot(
        "refinement",
        f"{name.capitalize()} and learning rate of each longer run",
        f"Refinement: {'; '.join(tops)}.",
        "Above, the thick line is the best run; below, its warmup and cosine decay.",
        draw,
        (5.6, 4.0 + 0.2 * len(series)),
    )


def sweep_plot(
    rates: Sequence[tuple[float, Sequence[float | None], str, str]], pick: float | None
) -> Plot | None:
    """Batch losses at each rate from the same start, of (rate, losses, verdict, color)."""
    curves = [(lr, numbers(losses), verdict, color) for lr, losses, verdict, color in rates]
    curves = [row for row in curves if np.isfinite(row[1]).any()]
    if not curves:
        return None
    low, high = _window([losses for _, losses, _, _ in curves])

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="iteration", y="loss of the batch")
        for lr, losses, _, name in curves:
            steps, smooth = np.arange(1, len(losses) + 1), _smooth(losses)
            color, chosen = colors[name], lr == pick
            label = f"{rate(lr)}{' (pick)' if chosen else ''}"
            ax.plot(steps, losses, color=color, linewidth=0.8, alpha=0.28)
            ax.plot(steps, smooth, color=color, linewidth=3.0 if chosen else 1.7, label=label)
            inside = np.flatnonzero(np.nan_to_num(smooth, nan=np.inf) <= high)
            if inside.size and inside[-1] < len(losses) - 1:  # it leaves, not to come back
                end = inside[-1] + 1, smooth[inside[-1]]
                ax.plot(*end, "x", color=color, markersize=8, markeredgewidth=2.2)
        ax.set_ylim(low * 0.85 if high > 20 * low else 0, high)
        if high > 20 * low:
            ax.set_yscale("log")
            log_ticks(ax.yaxis, (low, high), num)
        legend(ax, colors, columns=min(5, len(curves)))

    said = [f"{rate(lr)} {verdict}, {from_to(losses)}" for lr, losses, verdict, _ in curves]
    return Plot(
        "learning-rates",
        "Loss at each learning rate, from the same start",
        f"Loss per iteration at {len(curves)} learning rates: {'; '.join(said)}.",
        f"Thin: each batch. Thick: mean of the last {SMOOTHED_OVER}. A cross: it left the picture "
        "for good.",
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


def _window(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """What the eye needs: from the lowest loss to a few times the start."""
    seen = np.concatenate([_smooth(losses) for losses in curves])
    seen = seen[np.isfinite(seen)]
    start = float(np.median([losses[np.isfinite(losses)][0] for losses in curves]))
    low = max(float(seen.min()), 1e-6)
    return low, max(min(float(seen.max()) * 1.05, 3.0 * start), 1.3 * start, 1.2 * low)


def _labels(values: Sequence[Any], few: bool = False) -> list[str]:
    """The words of a parameter; none where all its values are numbers, unless they are `few`."""
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return [setting(v) for v in sorted(set(values))] if few else []
    return sorted({setting(v) for v in values})


def _heights(values: Sequence[Any]) -> np.ndarray:
    """Places between 0 and 1, in log units where numbers span much; by rank for words."""
    labels = _labels(values)
    numbers = np.array([labels.index(setting(v)) if labels else v for v in values], dtype=float)
    if numbers.min() > 0 and numbers.max() > 20 * numbers.min() and not labels:
        numbers = np.log(numbers)
    spread = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / spread if spread else np.full(len(values), 0.5)
