"""Trials that are no change of a setting: untransformed rows, and the standard train_step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcnn.callbacks.doctor._setting import Setting
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._weigh import gain

__all__ = ["clean_rows", "own_step"]

STILL = 0.01  # share of the first epoch's loss: a smaller change is none


def clean_rows(trial: Any, trainer: Any) -> None:
    """Is half of the untransformed validation data a better teacher than the pipeline?"""
    trainer.reset(trial.ended)
    before, count = trial.shop.half(trainer), trial.case.val.n // 2
    after = trial.shop.try_out(Setting(clean=True), steps=trial.length, until=trial.until)
    if after is None or before.val > 0.85:
        return
    d, ratio = gain(after, before)
    if d < 0.15 or ratio < 1.7:  # honest transforms slow the training down a little
        return
    suspect = Suspect(
        "augmentation_breaks_label", 0.9,
        f"trained on {count} untransformed samples the model does better "
        f"({after.val:.2f}) than on the randomly transformed training data "
        f"({before.val:.2f})", "transforms that keep the target",
        "Remove the random transforms one by one from the training pipeline.", "x", False,
        "augmentation", {"before": before.val, "after": after.val},
    )  # fmt: skip
    trial.verdict.name(suspect, confirmed_by_trial=True)


def own_step(trial: Any) -> None:
    """A train_step of the user's own: does its loss move, does the standard one do far better?"""
    still = still_loss(trial.run.history.get("loss", []))
    if still is not None:
        trial.verdict.name(still, "failure")
        return
    trainer = trial.shop.trainer(Setting())
    out = trial.shop.try_out(Setting(), steps=trial.steps, until=trial.until)
    if trainer is None or out is None or out.score - trial.final.score < 0.2:
        return
    trainer.reset()
    before = trainer.loss_of(trial.shop.look)
    trainer.reset(trial.ended)
    after = trainer.loss_of(trial.shop.look)
    grew = not np.isfinite(after) or after > 1.02 * before
    suspect = Suspect(
        "lr_too_high", 0.9 if grew else 0.5,
        "the loss grows under the model's own train_step and falls under the standard one",
        "the gradient subtracted, at a moderate rate",
        "Check the sign of the gradients in train_step.", "train_step", grew,
        "train_step", {"own": trial.final.score, "standard": out.score},
    )  # fmt: skip
    trial.verdict.name(suspect, "failure" if grew else "warning", confirmed_by_trial=True)


def still_loss(history: Sequence[float]) -> Suspect | None:
    """The loss of the user's own train_step is where it was: something does not learn."""
    losses = np.asarray(history, "float64")
    if len(losses) < 3 or not np.isfinite(losses).all():
        return None
    if np.abs(losses - losses[0]).max() > STILL * abs(losses[0]):
        return None
    return Suspect(
        "frozen_layers", 0.6,
        f"the loss of the model's own train_step stays at {losses[-1]:.3g} for "
        f"{len(losses)} epochs", "a loss that falls",
        "Check in train_step that gradients of this very loss reach the trainable weights and "
        "are applied, and that the learning rate is not tiny.",
        "train_step", False, "train_step", {"first": losses[0], "last": losses[-1]},
    )  # fmt: skip
