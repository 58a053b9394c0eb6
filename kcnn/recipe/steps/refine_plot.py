"""The picture of the longer trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.recipe.problem import accuracy_key
from kcnn.report import Plot
from kcnn.report.axes import curve, epoch_axis, numbers, percent_axis, top
from kcnn.report.canvas import SERIES, axes, legend
from kcnn.report.words import num, percent, rate

__all__ = ["refine_plot"]


def refine_plot(runs: Sequence[Any], best: int | None) -> Plot | None:
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
