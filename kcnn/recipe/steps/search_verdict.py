"""What is said of a search."""

from __future__ import annotations

from typing import Any

from kcnn.callbacks import Finding
from kcnn.recipe.steps.search_page import hp_words

__all__ = ["judge_search"]

WELL_BELOW = 0.95  # of what guessing costs


def judge_search(result: Any, guess: float | None) -> Finding:
    """Fails when every trial diverged; warns when the best is hardly better than guessing."""
    best, trials = result.best_trial, result.trials
    expected = "a validation loss well below guessing"
    if guess is not None:
        expected += f", which costs {guess:.3f}"
    if best is None or best.val_loss is None:
        return Finding(
            "search",
            "failure",
            seen=f"all {len(trials)} trials diverged",
            expected=expected,
            advice="Lower the learning rate by 10 and look at the data for outliers.",
            cause="lr_too_high",
            where="learning_rate",
        )
    accuracy = "" if best.val_accuracy is None else f", accuracy {best.val_accuracy:.1%}"
    values = ", ".join(f"{k.replace('_', ' ')} {hp_words(v)}" for k, v in best.hp.items())
    seen = (
        f"best of {len(trials)} trials: validation loss {best.val_loss:.3f}{accuracy} at {values}"
    )
    evidence = {"val_loss": best.val_loss, "val_accuracy": best.val_accuracy}
    if guess is None or best.val_loss < WELL_BELOW * guess:
        return Finding("search", "ok", seen=seen, expected=expected, evidence=evidence)
    return Finding(
        "search",
        "warning",
        seen=seen,
        expected=expected,
        advice="Training longer may help (--budget standard or thorough); if the loss stays "
        "there, look at labels and validation images side by side.",
        cause="too_few_epochs",
        where="epochs",
        evidence=evidence,
    )
