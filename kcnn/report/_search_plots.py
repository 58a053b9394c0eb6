"""Pictures of what was tried: the learning rates and the coarse search."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kcnn.report._canvas import SERIES, SPECTRUM, Colors, Plot, axes, legend, log_ticks
from kcnn.report._load import Run, number, numbers, records
from kcnn.report._training_plots import (
    expected_loss,
    from_to,
    guessing_line,
    percent_axis,
)
from kcnn.report._words import num, percent, rate

SMOOTHED_OVER = 10  # iterations, of the thick lines


def rates(run: Run) -> Plot | None:
    """The batch losses of each learning rate, the pick thick."""
    curves = rate_rows(run)
    curves = [c for c in curves if np.isfinite(c["losses"]).any()]
    if not curves:
        return None
    expected = expected_loss(run)

    def draw(figure: Figure, colors: Colors) -> None:
        ax = axes(figure, colors, x="iteration", y="loss of the batch")
        low, high = _window(curves, expected)
        for row in curves:
            losses = row["losses"]
            steps = np.arange(1, len(losses) + 1)
            color = colors[row["color"]]
            label = f"{rate(row['lr'])}{' (pick)' if row['picked'] else ''}"
            ax.plot(steps, losses, color=color, linewidth=0.8, alpha=0.28)
            width = 3.0 if row["picked"] else 1.7
            ax.plot(steps, _smooth(losses), color=color, linewidth=width, label=label)
            _mark_end(ax, _smooth(losses), high, color)
        ax.set_ylim(low * 0.85 if high > 20 * low else 0, high)
        if high > 20 * low:
            ax.set_yscale("log")
            log_ticks(ax.yaxis, (low, high), num)
        guessing_line(ax, colors, expected)
        legend(ax, colors, columns=min(5, len(curves)))

    high = _window(curves, expected)[1]
    gone = any(_last_inside(_smooth(c["losses"]), high) is not None for c in curves)
    said = [f"{rate(c['lr'])} {c['verdict']}, {from_to(c['losses'])}" for c in curves]
    return Plot(
        "learning-rates",
        "Loss at each learning rate, from the same start",
        f"Loss per iteration at {len(curves)} learning rates: {'; '.join(said)}.",
        f"Thin: each batch. Thick: mean of the last {SMOOTHED_OVER}."
        + (" A cross is where a rate left the picture for good." if gone else ""),
        draw,
        (5.6, 3.8),
    )


def rate_rows(run: Run) -> list[dict[str, Any]]:
    """The swept rates, largest first, each with its color and whether it was picked."""
    suggestion = number(run.result("learning_rates", "suggestion"))
    rows = records(run.result("learning_rates", "curves"))
    rows = sorted(rows, key=lambda row: -np.nan_to_num(number(row.get("lr"))))
    return [
        {
            "lr": row.get("lr"),
            "losses": numbers(row.get("losses")),
            "verdict": str(row.get("verdict") or ""),
            "reason": str(row.get("reason") or ""),
            "color": SPECTRUM[i % len(SPECTRUM)],
            "picked": math.isclose(number(row.get("lr")), suggestion, rel_tol=1e-6),
        }
        for i, row in enumerate(rows)
    ]


def search(run: Run) -> Plot | None:
    """Validation accuracy against learning rate, one point a trial."""
    trials = trial_rows(run)
    points = [t for t in trials if number(t.get("lr")) > 0]
    scored = [t for t in points if math.isfinite(number(t.get("val_accuracy")))]
    if len(points) < 2 or not scored:
        return None
    lost = [t for t in points if not math.isfinite(number(t.get("val_accuracy")))]
    widths = sorted({number(t.get("width")) for t in scored if t.get("width") is not None})

    def draw(figure: Figure, colors: Colors) -> None:
        ax = axes(figure, colors, x="learning rate", y="validation accuracy")
        ax.set_xscale("log")
        for i, width in enumerate(widths or [math.nan]):
            of_width = [t for t in scored if not widths or number(t.get("width")) == width]
            ax.scatter(
                [t["lr"] for t in of_width],
                [number(t["val_accuracy"]) for t in of_width],
                s=46,
                color=colors[SERIES[i % len(SERIES)]],
                marker="os^Dv"[i % 5],
                alpha=0.85,
                linewidths=0,
                label=f"width {num(width)}" if widths else "trial",
            )
        percent_axis(ax, np.array([number(t["val_accuracy"]) for t in scored]))
        for best in (t for t in scored if t["best"]):
            at = ([best["lr"]], [number(best["val_accuracy"])])
            ring: dict[str, Any] = {
                "facecolors": "none",
                "edgecolors": colors["good"],
                "linewidths": 2.2,
            }
            ax.scatter(*at, s=190, label="best", **ring)
        if lost:
            floor = np.full(len(lost), ax.get_ylim()[0])
            cross: dict[str, Any] = {
                "marker": "x",
                "color": colors["bad"],
                "s": 40,
                "clip_on": False,
            }
            ax.scatter([t["lr"] for t in lost], floor, label="diverged", **cross)
        log_ticks(ax.xaxis, ax.get_xlim(), rate)
        legend(ax, colors, columns=5)

    tops = max(number(t["val_accuracy"]) for t in scored)
    return Plot(
        "search",
        "Accuracy against learning rate",
        f"{len(scored)} trials by learning rate and validation accuracy, at most "
        f"{percent(tops)}; {len(lost)} diverged.",
        "",
        draw,
    )


def trial_rows(run: Run) -> list[dict[str, Any]]:
    """The trials of the coarse search, best validation loss first, the chosen one marked."""
    best = run.result("coarse_search", "best")
    rows = records(run.result("coarse_search", "trials"))
    marked = [{**row, "best": best is not None and row.get("number") == best} for row in rows]

    def rank(row: dict[str, Any]) -> tuple[bool, float]:
        loss = number(row.get("val_loss"))
        if math.isnan(loss):
            loss = -number(row.get("val_accuracy"))
        return (not row["best"], math.inf if math.isnan(loss) else loss)

    return sorted(marked, key=rank)


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


def _window(curves: list[dict[str, Any]], expected: float) -> tuple[float, float]:
    """What the eye needs: from the lowest loss to a few times the start."""
    smooth = [_smooth(c["losses"]) for c in curves]
    seen = np.concatenate([s[np.isfinite(s)] for s in smooth])
    starts = [c["losses"][np.isfinite(c["losses"])][0] for c in curves]
    start = max(float(np.median(starts)), expected if math.isfinite(expected) else 0.0)
    low = max(float(seen.min()), 1e-6)
    return low, max(min(float(seen.max()) * 1.05, 3.0 * start), 1.3 * start, 1.2 * low)
