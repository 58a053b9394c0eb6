"""Curves over iterations and epochs: small sample, refinement, loss and accuracy."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kcnn.report._canvas import SERIES, Colors, Plot, axes, legend, log_ticks
from kcnn.report._load import Run, dig, number, numbers, records
from kcnn.report._words import num, percent, rate


def small_sample(run: Run) -> Plot | None:
    """Loss on a few images that a working network learns by heart."""
    losses = numbers(run.result("small_sample", "losses"))
    if not np.isfinite(losses).any():
        return None
    expected = expected_loss(run)

    def draw(figure: Figure, colors: Colors) -> None:
        ax = axes(figure, colors, x="iteration", y="loss")
        curve(ax, losses, colors["c1"], "small sample")
        log_if_wide(ax, losses)
        guessing_line(ax, colors, expected)

    images = run.result("small_sample", "images")
    return Plot(
        "small-sample",
        f"Loss on {num(images)} images, again and again",
        f"Loss on the small sample over {len(losses)} iterations, {from_to(losses)}.",
        "A network that can learn at all brings it close to zero.",
        draw,
    )


def refinement(run: Run) -> Plot | None:
    """Validation accuracy of the longer runs above their learning-rate schedules."""
    runs = records(run.result("refine", "runs"))
    best = run.result("refine", "best")
    series = [
        (
            i,
            f"run {i + 1}: rate {rate(r.get('lr'))}, decay {rate(r.get('weight_decay'))}",
            numbers(dig(r, "history", "val_accuracy")),
            numbers(dig(r, "history", "learning_rate")),
        )
        for i, r in enumerate(runs)
    ]
    series = [s for s in series if np.isfinite(s[2]).any() or np.isfinite(s[3]).any()]
    if not series:
        return None

    def draw(figure: Figure, colors: Colors) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(2.2, 1))
        top = axes(figure, colors, x="", y="validation accuracy", place=(grid[0],))
        low = axes(figure, colors, x="epoch", y="learning rate", place=(grid[1],))
        for i, label, accuracy, lr in series:
            style = {"linewidth": 2.4 if i == best else 1.4}
            color = colors[SERIES[i % len(SERIES)]]
            curve(top, accuracy, color, label, **style)
            curve(low, lr, color, label, **style)
        percent_axis(top, *(s[2] for s in series))
        epoch_axis(top)
        epoch_axis(low)
        top.tick_params(labelbottom=False)
        low.set_ylim(bottom=0)
        legend(top, colors, columns=1 if len(series) < 4 else 2)

    tops = [f"{label}, at most {percent(top(a))}" for _, label, a, _ in series]
    return Plot(
        "refinement",
        "Validation accuracy and learning rate of each longer run",
        f"Refinement: {'; '.join(tops)}.",
        "Above, the thick line is the best run; below, its warmup and cosine decay.",
        draw,
        (5.6, 4.0 + 0.2 * len(series)),
    )


def loss(run: Run) -> Plot | None:
    """Training and validation loss of the best run, with log(classes) and the onset."""
    history = best_run(run).get("history")
    train, val = numbers(dig(history, "loss")), numbers(dig(history, "val_loss"))
    if not (np.isfinite(train).any() or np.isfinite(val).any()):
        return None
    expected, classes = expected_loss(run), run.get("data", "classes")

    def draw(figure: Figure, colors: Colors) -> None:
        ax = axes(figure, colors, x="epoch", y="loss")
        curve(ax, train, colors["c1"], "training")
        curve(ax, val, colors["c2"], "validation")
        log_if_wide(ax, np.concatenate([train, val]))
        guessing_line(ax, colors, expected, classes)
        marks(ax, colors, run, val)
        epoch_axis(ax)
        legend(ax, colors)

    return Plot(
        "loss",
        "Loss of the best run",
        f"Loss over {max(len(train), len(val))} epochs: training {from_to(train)}, "
        f"validation {from_to(val)}.{_onset_words(run)}",
        "The dashed line is what guessing costs.",
        draw,
    )


def accuracy(run: Run) -> Plot | None:
    """Training and validation accuracy of the best run."""
    history = best_run(run).get("history")
    train, val = numbers(dig(history, "accuracy")), numbers(dig(history, "val_accuracy"))
    if not (np.isfinite(train).any() or np.isfinite(val).any()):
        return None

    def draw(figure: Figure, colors: Colors) -> None:
        ax = axes(figure, colors, x="epoch", y="accuracy")
        curve(ax, train, colors["c1"], "training")
        curve(ax, val, colors["c2"], "validation")
        percent_axis(ax, train, val)
        marks(ax, colors, run, val)
        epoch_axis(ax)
        legend(ax, colors)

    return Plot(
        "accuracy",
        "Accuracy of the best run",
        f"Accuracy over {max(len(train), len(val))} epochs: training "
        f"{from_to(train, percent)}, validation {from_to(val, percent)}.{_onset_words(run)}",
        "",
        draw,
    )


def best_run(run: Run) -> dict[str, Any]:
    """The best of the longer runs; an empty dict before there is one."""
    runs, best = records(run.result("refine", "runs")), run.result("refine", "best")
    if isinstance(best, int) and 0 <= best < len(runs):
        return runs[best]
    return runs[0] if runs else {}


def expected_loss(run: Run) -> float:
    """What guessing costs: as the first step says, or else log(classes)."""
    expected = number(run.result("initial_loss", "expected"))
    classes = number(run.get("data", "classes"))
    return math.log(classes) if math.isnan(expected) and classes >= 1 else expected


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


def guessing_line(ax: Axes, colors: Colors, expected: float, classes: Any = None) -> None:
    """The dashed line of the loss that guessing costs."""
    if not math.isfinite(expected):
        return
    exact = number(classes) > 1 and math.isclose(expected, math.log(number(classes)), rel_tol=1e-3)
    name = f"log({num(classes)}) = {num(expected)}" if exact else f"guessing: {num(expected)}"
    ax.set_ylim(top=max(ax.get_ylim()[1], 1.25 * expected))
    ax.axhline(expected, color=colors["muted"], linestyle=(0, (5, 3)), linewidth=1.2)
    label = ax.annotate(
        name,
        (1.0, expected),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4.5),
        textcoords="offset points",
        ha="right",
        color=colors["muted"],
    )
    label.set_in_layout(False)


def marks(ax: Axes, colors: Colors, run: Run, val: np.ndarray) -> None:
    """The epoch whose weights were kept, and where overfitting set in."""
    best = number(best_run(run).get("best_epoch"))
    if 1 <= best <= len(val) and math.isfinite(val[int(best) - 1]):
        at = (best, val[int(best) - 1])
        ring: dict[str, Any] = {"markeredgecolor": colors["c2"], "markerfacecolor": colors["card"]}
        ax.plot(*at, "o", markersize=7, markeredgewidth=1.8, label="kept", **ring)
    onset = number(run.result("curves", "onset_epoch"))
    if 1 <= onset <= len(val):
        ax.axvline(onset, color=colors["bad"], linestyle=":", linewidth=1.6)
        late = onset > 0.6 * len(val)
        ax.annotate(
            f"overfitting from {num(onset)}",
            (onset, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-5 if late else 5, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            color=colors["bad"],
        )


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


def _onset_words(run: Run) -> str:
    onset = number(run.result("curves", "onset_epoch"))
    return f" Overfitting from epoch {num(onset)}." if math.isfinite(onset) else ""
