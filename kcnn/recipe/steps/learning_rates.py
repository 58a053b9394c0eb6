"""Step 3: the rate at which the loss falls clearly and stably within 100 updates."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from rich.table import Table as Lines

from kcnn.callbacks import Finding, LRSweep
from kcnn.recipe.clock import Pace
from kcnn.recipe.context import Context
from kcnn.recipe.step import Outcome, Step, require_labels
from kcnn.recipe.steps.small_sample import usual_rates
from kcnn.recipe.training_data import AUGMENTED_FROM, LIGHT_FROM, lighter
from kcnn.report import Block, Cell, Columns, Findings, Note, Row, Table
from kcnn.report.canvas import SPECTRUM
from kcnn.report.trials import SMOOTHED_OVER, sweep_plot
from kcnn.report.words import duration, rate

__all__ = ["LearningRates", "Rate", "SweepLearningRates", "sweep_learning_rates"]

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
ITERATIONS = 100
WEIGHT_DECAY = 1e-4
TIME_SHARE = 0.06  # of the time left, for the sweep
FEWEST = 20  # iterations that say something of a rate
FEW = 50  # iterations below which only the optimizer's usual rates are tried


@dataclass(frozen=True)
class Rate:
    """The batch losses of one rate and what they say."""

    lr: float
    losses: tuple[float | None, ...]
    verdict: str
    reason: str


@dataclass(frozen=True)
class LearningRates:
    """What each rate did; `suggestion` is the pick, None if none is fit.

    `seconds_per_update` tells how fast the model trains here; `augmented_by` is what the later
    steps augment by, where the time is too short for what was chosen before.
    """

    weight_decay: float
    iterations: int
    curves: tuple[Rate, ...]
    suggestion: float | None
    seconds_per_update: float | None = None
    augmented_by: str = ""


def sweep_learning_rates(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    rates: Sequence[float] = RATES,
    iterations: int = ITERATIONS,
    weight_decay: float | None = WEIGHT_DECAY,
    batch_size: int | None = None,
    seed: int = 0,
    on_iteration: Callable[[int, int, float], Any] | None = None,
) -> Outcome[LearningRates]:
    """Try each rate on a compiled model from the same weights; it is as before afterwards.

    Args:
        model: compiled.
        x, y: what `model.fit` takes.
        rates: largest first.
        iterations: updates at each, 10 at least.
        weight_decay: meanwhile; None keeps the optimizer's.
        batch_size: with arrays.
        seed: order of arrays.
        on_iteration: called as `on_iteration(index of the rate, iteration, loss)`.

    >>> outcome = kcnn.recipe.sweep_learning_rates(model, x, y, rates=(1e-1, 1e-2), iterations=20)
    >>> [row.lr for row in outcome.result.curves]
    [0.1, 0.01]
    """
    require_labels("sweep_learning_rates", x, y)
    sweep = LRSweep(rates, iterations=iterations, weight_decay=weight_decay, seed=seed)
    pace = Pace()
    ticks = pace.ticks(on_iteration)
    found = sweep.run(model, x, y, batch_size=batch_size, on_iteration=ticks)
    result = LearningRates(
        weight_decay or 0.0,
        iterations,
        tuple(Rate(c.lr, c.losses, c.verdict, c.reason) for c in found.curves),
        found.suggestion,
        pace.seconds,
    )
    return Outcome(result, found.findings)


class SweepLearningRates(Step[LearningRates]):
    """The step of the recipe."""

    name = "learning_rates"
    title = "Find a learning rate"
    purpose = (
        "Each rate trains from the same initial weights. Wanted: the one whose loss falls "
        "clearly and steadily."
    )
    Result = LearningRates

    def run(self, context: Context) -> Outcome[LearningRates]:
        model = context.models.fresh(context.hp)
        data = context.data.train(context.batch_size, purpose="learning rates")
        rates, iterations = _affordable(context, model)
        with context.display.progress("trying rates", len(rates) * iterations) as bar:

            def show(index: int, iteration: int, loss: float) -> None:
                done = index * iterations + iteration + 1
                bar.show(done, f"rate {rates[index]:.0e}, loss {loss:.3f}")

            found = sweep_learning_rates(
                model,
                data.take(iterations),
                rates=rates,
                iterations=iterations,
                seed=context.settings.seed,
                on_iteration=show,
            )
        return _lightened(context, found)

    def settle(self, result: LearningRates, context: Context) -> None:
        if result.augmented_by:
            context.data.augmented_by = result.augmented_by

    def usable(self, result: LearningRates) -> bool:
        return result.suggestion is not None

    def lines(self, result: LearningRates) -> Iterable[Any]:
        table = Lines(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        for column in ("", "rate", "first loss", "last loss", "verdict"):
            table.add_column(column, justify="right" if "loss" in column else "left")
        for row in result.curves:
            chosen = row.lr == result.suggestion
            table.add_row(
                "   →" if chosen else "    ",
                f"{row.lr:.0e}",
                _mean(row.losses[:1]),
                _mean(row.losses[-SMOOTHED_OVER:]),
                row.verdict,
                style="bold" if chosen else "",
            )
        return (table,)

    def page(self, result: LearningRates, findings: Sequence[dict[str, Any]]) -> list[Block]:
        ordered = sorted(result.curves, key=lambda row: -row.lr)
        colors = {row.lr: SPECTRUM[i % len(SPECTRUM)] for i, row in enumerate(ordered)}
        rows = tuple(
            Row(
                (Cell(rate(r.lr), r.lr, colors[r.lr]), r.verdict, r.reason),
                "← pick" if r.lr == result.suggestion else "",
            )
            for r in ordered
        )
        drawn = sweep_plot(
            [(r.lr, r.losses, r.verdict, colors[r.lr]) for r in ordered], result.suggestion
        )
        plot = (drawn,) if drawn else ()
        return [
            Columns((plot, (Findings(findings),)), wide=True),
            Table("Verdict on each learning rate", ("Rate", "Verdict", "Why"), rows),
            Note(
                f"Weight decay {rate(result.weight_decay)}, {result.iterations} iterations each, "
                "all from the same initial weights."
            ),
        ]


def _lightened(context: Context, found: Outcome[LearningRates]) -> Outcome[LearningRates]:
    """With less augmentation where images are seen a few times only, unless one was asked for."""
    pace, left = found.result.seconds_per_update, context.clock.left
    if left is None or not pace or context.settings.augment != "auto":
        return found
    passes = left / pace / context.updates_per_pass(context.batch_size)
    kind = lighter(context.data.augmented_by, passes)
    if kind == context.data.augmented_by:
        return found
    said = Finding(
        "augmentation",
        "note",
        f"augmentation {kind}: in {duration(left)} each image is seen about {passes:.0f} times",
        f"{AUGMENTED_FROM} times or more for it to help, {LIGHT_FROM} for a light one",
    )
    result = replace(found.result, augmented_by=kind)
    return Outcome(result, (*found.findings, said))


def _affordable(context: Context, model: keras.Model) -> tuple[tuple[float, ...], int]:
    """The rates and iterations that the time allows; all where there is no limit."""
    sample = context.results.get("small_sample")
    if context.clock.left is None or sample is None or not sample.seconds_per_update:
        return RATES, ITERATIONS
    update = sample.seconds_per_update / sample.images * context.batch_size
    updates = TIME_SHARE * context.clock.left / update
    if updates >= len(RATES) * FEW:
        return RATES, min(ITERATIONS, int(updates / len(RATES)))
    usual = tuple(sorted(usual_rates(model), reverse=True))
    return usual, max(FEWEST, min(ITERATIONS, int(updates / len(usual))))


def _mean(losses: Sequence[float | None]) -> str:
    known = [math.nan if loss is None else loss for loss in losses]
    return f"{sum(known) / len(known):.3f}" if known else "–"
