"""Step 6: what the curves of the best training say, and what to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcnn.callbacks import read_curves
from kcnn.recipe.context import Context
from kcnn.recipe.problem import accuracy_key
from kcnn.recipe.step import Outcome, Step
from kcnn.report import Block, Columns, Findings, Note, Plot
from kcnn.report.axes import curve, epoch_axis, from_to, log_if_wide, numbers, percent_axis
from kcnn.report.canvas import axes, legend
from kcnn.report.words import num, percent

__all__ = ["Curves", "ReadCurves"]


@dataclass(frozen=True)
class Curves:
    """The verdict on a training, its curves and the epoch (from 1) whose weights were kept."""

    verdict: str
    onset_epoch: int | None
    advice: str
    history: dict[str, tuple[float | None, ...]]
    best_epoch: int | None


class ReadCurves(Step[Curves]):
    """The step of the recipe; from Python `read_curves(history)` does it."""

    name = "curves"
    title = "Read the curves"
    purpose = "What the training and validation curves of the best run say about the next one."
    needs = ("refine",)
    gates = False
    Result = Curves

    def run(self, context: Context) -> Outcome[Curves]:
        refined = context.results["refine"]
        best = refined.runs[refined.best]
        history = {k: v for k, v in best.history.items() if k != "learning_rate"}
        reading = read_curves({k: list(numbers(v)) for k, v in history.items()})
        result = Curves(
            reading.verdict, reading.onset_epoch, reading.advice, history, best.best_epoch
        )
        return Outcome(result, tuple(reading.findings))

    def page(self, result: Curves, findings: Sequence[dict[str, Any]]) -> list[Block]:
        onset = f", from epoch {result.onset_epoch}" if result.onset_epoch else ""
        key = accuracy_key(result.history)
        plots = [_plot(result, "loss", "loss")]
        if key is not None:
            plots.append(_plot(result, key, "accuracy"))
        return [
            Note(f"Verdict: {result.verdict}{onset}.", strong=True),
            Findings(findings),
            Columns(tuple((plot,) for plot in plots if plot is not None)),
        ]


def _plot(result: Curves, key: str, name: str) -> Plot | None:
    """Training and validation curves, the epoch that was kept and the onset of overfitting."""
    train, val = numbers(result.history.get(key)), numbers(result.history.get(f"val_{key}"))
    if not (np.isfinite(train).any() or np.isfinite(val).any()):
        return None
    show = num if name == "loss" else percent

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="epoch", y=name)
        curve(ax, train, colors["c1"], "training")
        curve(ax, val, colors["c2"], "validation")
        if name == "loss":
            log_if_wide(ax, np.concatenate([train, val]))
        else:
            percent_axis(ax, train, val)
        _marks(ax, colors, result, val)
        epoch_axis(ax)
        legend(ax, colors)

    onset = f" Overfitting from epoch {result.onset_epoch}." if result.onset_epoch else ""
    return Plot(
        name,
        f"{name.capitalize()} of the best run",
        f"{name.capitalize()} over {max(len(train), len(val))} epochs: training "
        f"{from_to(train, show)}, validation {from_to(val, show)}.{onset}",
        "",
        draw,
    )


def _marks(ax: Any, colors: Any, result: Curves, val: np.ndarray) -> None:
    best, onset = result.best_epoch, result.onset_epoch
    if best is not None and 1 <= best <= len(val) and np.isfinite(val[best - 1]):
        ring: dict[str, Any] = {"markeredgecolor": colors["c2"], "markerfacecolor": colors["card"]}
        ax.plot(best, val[best - 1], "o", markersize=7, markeredgewidth=1.8, label="kept", **ring)
    if onset is not None and 1 <= onset <= len(val):
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
