"""The search and the refinement by themselves, from Python, on any model."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from kcnn.callbacks import expected_initial_loss
from kcnn.recipe.context import Context
from kcnn.recipe.display import Display
from kcnn.recipe.outcome import best_model
from kcnn.recipe.settings import RecipeError, Settings
from kcnn.recipe.step import Outcome
from kcnn.recipe.steps.initial_loss import InitialLoss
from kcnn.recipe.steps.learning_rates import LearningRates
from kcnn.recipe.steps.refine import Refine, Refined, best_weights
from kcnn.recipe.steps.search import Search, Searched, Trial

__all__ = ["refine", "search"]


def search(
    build: Any,
    data: Any,
    *,
    learning_rate: float,
    space: Any = None,
    folder: str | Path | None = None,
    display: Display | None = None,
    **settings: Any,
) -> Outcome[Searched]:
    """Train briefly with each of the drawn settings; the best is `outcome.result.best_trial`.

    Args:
        build: a function hp -> keras.Model, or a compiled model that each trial starts from.
        data: a `kcnn.data.Dataset`, or what `kcnn.data.load` takes.
        learning_rate: around which rates are searched (`sweep_learning_rates` finds one).
        space: what is varied besides; see `run`.
        folder: for the trials, so that a cut-off search can be taken up; a temporary one if None.
        display: the terminal; none if None.
        **settings: of `Settings`, such as budget, search, pruner, storage and seed.

    >>> found = search(model, data, learning_rate=1e-3, budget="quick")  # doctest: +SKIP
    >>> found.result.best_trial.hp["learning_rate"]  # doctest: +SKIP
    0.00154
    """
    context = _context(build, data, space, folder, display, settings)
    guess = expected_initial_loss(
        "binary_crossentropy" if context.dataset.multi_label else "categorical_crossentropy",
        context.dataset.classes,
    )
    context.results["initial_loss"] = InitialLoss(None, guess, 0)
    context.results["learning_rates"] = LearningRates(0.0, 0, (), learning_rate)
    return Search().run(context)


def refine(
    build: Any,
    data: Any,
    hp: Mapping[str, Any],
    *,
    folder: str | Path | None = None,
    display: Display | None = None,
    **settings: Any,
) -> tuple[keras.Model, Outcome[Refined]]:
    """Train longer with these settings and neighbours; the model with the best epoch's weights.

    Args:
        build, data, display: as for `search`.
        hp: learning_rate, weight_decay, batch_size and whatever else `build` reads; for example
            `search(...).result.best_trial.hp`.
        folder: for checkpoints, so that a cut-off training goes on; a temporary one if None.
        **settings: of `Settings`; the budget says how long and how many.

    Raises:
        RecipeError: `hp` lacks the learning rate or the batch size.
        RuntimeError: every training diverged.

    >>> hp = {"learning_rate": 1e-3, "weight_decay": 0.0, "batch_size": 32}
    >>> trained, outcome = refine(model, data, hp, budget="quick")  # doctest: +SKIP
    """
    missing = [name for name in ("learning_rate", "batch_size") if not hp.get(name)]
    if missing:
        raise RecipeError(f"refine: hp needs {' and '.join(missing)}; received {dict(hp)}.")
    space = {k: [v] for k, v in hp.items() if k != "learning_rate"}
    context = _context(build, data, space, folder, display, settings)
    trial = Trial(0, 1, dict(hp), None, None, None, 0, 0, 0.0, "given")
    context.results["learning_rates"] = LearningRates(0.0, 0, (), float(hp["learning_rate"]))
    context.results["search"] = Searched("given", "none", (trial,), 0, {}, None)
    outcome = Refine().run(context)
    best = outcome.result.best_run
    if best is None:
        raise RuntimeError(f"refine: {outcome.findings[0].seen}; {outcome.findings[0].advice}")
    return best_model(context, best.hp, best_weights(context.state, outcome.result)), outcome


def _context(
    build: Any,
    data: Any,
    space: Any,
    folder: str | Path | None,
    display: Display | None,
    settings: Mapping[str, Any],
) -> Context:
    state = Path(tempfile.mkdtemp() if folder is None else folder)
    quiet = display or Display(Console(quiet=True))
    return Context(build, data, Settings(**settings), state, display=quiet, space=space)
