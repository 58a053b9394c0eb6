"""Step 2: a network that can't learn a handful of images by heart is set up wrongly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kcnn.callbacks import Finding, SmallSampleCheck
from kcnn.recipe.clock import Pace
from kcnn.recipe.context import Context
from kcnn.recipe.step import Outcome, Step, require_labels
from kcnn.report import Block, Columns, Findings, Note, Plot
from kcnn.report.axes import curve, from_to, log_if_wide, numbers
from kcnn.report.canvas import axes
from kcnn.report.words import num, rate

__all__ = ["OverfitSmallSample", "SmallSample", "overfit_small_sample"]

IMAGES = 48
ITERATIONS = 200
RATES = {"SGD": (0.01, 0.1, 0.001)}  # in turn until one gets there
TIME_SHARE = 0.1  # of the time left at most
ADAPTIVE = (1e-3, 1e-2, 1e-4)  # of all optimizers that scale their steps


@dataclass(frozen=True)
class SmallSample:
    """What a training on a few images reached, at the best of the rates tried."""

    images: int
    losses: tuple[float | None, ...]
    accuracy: float | None
    iterations: int
    learning_rate: float
    seconds_per_update: float | None = None


def overfit_small_sample(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    images: int = IMAGES,
    iterations: int = ITERATIONS,
    rates: Sequence[float] | None = None,
    seed: int = 0,
    on_iteration: Callable[[int, float], Any] | None = None,
) -> Outcome[SmallSample]:
    """Train a compiled model on a few images, without augmentation and weight decay.

    The model is as before afterwards.

    Args:
        model: compiled.
        x, y: arrays, or a `tf.data.Dataset`.
        images: 10 to 100, as evenly over the classes as the labels allow.
        iterations: most updates at one rate.
        rates: tried in turn until one gets there; those usual with the optimizer if None.
        seed: choice of the images.
        on_iteration: called as `on_iteration(iteration, loss)`.

    >>> outcome = kcnn.recipe.overfit_small_sample(model, x, y, images=10)
    >>> outcome.ok, outcome.result.images
    (True, 10)
    """
    require_labels("overfit_small_sample", x, y)
    check = SmallSampleCheck(
        x,
        y,
        images=images,
        iterations=iterations,
        rates=rates or usual_rates(model),
        seed=seed,
        sink=None,
    )
    pace = Pace()
    found = check.run(model, on_iteration=pace.ticks(on_iteration))
    result = SmallSample(
        found.images,
        found.losses,
        found.accuracy,
        found.iterations,
        found.learning_rate,
        pace.seconds,
    )
    return Outcome(result, (found.finding,))


def usual_rates(model: keras.Model) -> tuple[float, ...]:
    """The rates to try with the model's optimizer."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return RATES.get(type(optimizer).__name__, ADAPTIVE)


class _TimeOver(Exception):
    """The step's share of the time has ended."""


class OverfitSmallSample(Step[SmallSample]):
    """The step of the recipe."""

    name = "small_sample"
    title = "Overfit a small sample"
    purpose = "A few images must be learnable by heart. If they are not, no search will help."
    Result = SmallSample

    def run(self, context: Context) -> Outcome[SmallSample]:
        seed, images = context.settings.seed, max(10, min(IMAGES, context.data.train_images))
        x, y = context.data.sample(images, seed=seed)
        model = context.models.fresh(context.hp, decay=0.0)
        left = context.clock.left
        until = None if left is None else context.clock.spent + TIME_SHARE * left
        pace = Pace()
        tried: list[list[float]] = []  # the losses at each rate

        def show(iteration: int, loss: float) -> None:
            bar.show(iteration + 1, f"loss {loss:.3f}")
            if iteration == 0:
                tried.append([])
            tried[-1].append(loss)
            over = until is not None and context.clock.spent > until
            if over and iteration > 0 and np.isfinite(loss):
                raise _TimeOver

        with context.display.progress(f"learning {len(x)} images by heart", ITERATIONS) as bar:
            try:
                return overfit_small_sample(
                    model, x, y, images=images, seed=seed, on_iteration=pace.ticks(show)
                )
            except _TimeOver:
                losses, at = tuple(tried[-1]), usual_rates(model)[len(tried) - 1]
        seen = (
            f"loss {losses[0]:.3g} to {losses[-1]:.3g} on {len(x)} images in {len(losses)} "
            "iterations, where this step's share of the time ended"
        )
        result = SmallSample(len(x), losses, None, len(losses), at, pace.seconds)
        return Outcome(result, (Finding("small_sample", "note", seen, "a loss near zero"),))

    def page(self, result: SmallSample, findings: Sequence[dict[str, Any]]) -> list[Block]:
        plot = tuple(p for p in [_plot(result)] if p is not None)
        words = Note(f"At learning rate {rate(result.learning_rate)}.")
        return [Columns((plot, (Findings(findings), words)), wide=True)]


def _plot(result: SmallSample) -> Plot | None:
    losses = numbers(result.losses)
    if not np.isfinite(losses).any():
        return None

    def draw(figure, colors) -> None:
        ax = axes(figure, colors, x="iteration", y="loss")
        curve(ax, losses, colors["c1"], "small sample")
        log_if_wide(ax, losses)

    return Plot(
        "small-sample",
        f"Loss on {num(result.images)} images, again and again",
        f"Loss on the small sample over {len(losses)} iterations, {from_to(losses)}.",
        "A network that can learn at all brings it close to zero.",
        draw,
    )
