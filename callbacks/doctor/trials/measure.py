"""How well a network does: skill on training rows and on rows it has not learned."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor.interventions import Intervention
from kcnn.callbacks.doctor.program.skill import balanced_skill, classes_of, loss_skill, skill
from kcnn.callbacks.doctor.trials.data import TrialData, scaled_inputs, unscaled

__all__ = ["Outcome", "measure"]


@dataclasses.dataclass
class Outcome:
    """How a training ended: skills on training and on judging rows, and its losses."""

    train: float
    val: float
    balanced: float = 1.0
    losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    steps: int = 0

    @property
    def score(self) -> float:
        """Mean of both skills; the training skill alone without judging rows."""
        return self.train if not np.isfinite(self.val) else 0.5 * (self.train + self.val)

    @property
    def known(self) -> float:
        """Skill on judging rows where there are any."""
        return self.val if np.isfinite(self.val) else self.train

    @property
    def lost(self) -> bool:
        """Whether the loss went to infinity."""
        return bool(len(self.losses) and not np.isfinite(self.losses[-1]))

    def numbers(self) -> dict[str, float]:
        return {"train": self.train, "val": self.val, "balanced": self.balanced}


def measure(context: Any, data: TrialData, trainer: Any, change: Intervention) -> Outcome:
    """Skills of a trainer's present weights."""
    train, balanced = _skill(context, data, trainer, data.look, change)
    if data.val is None:
        return Outcome(train, float("nan"), balanced)
    val, balanced = _skill(context, data, trainer, data.val, change)
    return Outcome(train, val, balanced)


def _skill(context: Any, data: TrialData, trainer: Any, rows: Rows, change: Intervention):
    rows = Rows(scaled_inputs(data, rows.x, change), rows.y, rows.weight)
    if context.by_loss:
        return _avoided(data, trainer, rows, change), 1.0
    out = unscaled(data, change, trainer.predict(rows.x))
    task, balanced = context.task, 1.0
    if task is None or not isinstance(out, np.ndarray):
        value = _mean_skill(context, out, rows.y)
    else:
        head, loss = context.head, context.loss
        if change.head:
            head, loss = context.customary.head, context.customary.facts
        elif change.bare:
            head = dataclasses.replace(head, activations=())
            loss = dataclasses.replace(loss, from_logits=True)
        ids = task.classes_of(rows.y)
        if ids is not None:
            balanced = balanced_skill(classes_of(out, head, loss), ids)
        value = skill(out, rows.y, task, head, loss)
        if balanced < 1.0 and context.case.class_weight:  # the user asks for every class alike
            value = balanced
        if task.kind in ("regression", "other") and context.loss.kind == "other":
            own = loss_skill(context.model.loss, out, rows.y)  # another loss: judged by the user's
            value = own if change.head and own > -1 else max(value, own)
    if not np.isfinite(value):
        value = _avoided(data, trainer, rows, change)
    return value, balanced


def _mean_skill(context: Any, out: Any, y: Any) -> float:
    """Mean over several outputs, each by its own task."""
    outs, targets = keras.tree.flatten(out), keras.tree.flatten(y)
    found = [
        skill(outs[one.place], targets[one.target], one.task, one.head, one.loss)
        for one in context.outputs
    ]
    return float(np.mean(found)) if found else float("nan")


def _avoided(data: TrialData, trainer: Any, rows: Rows, change: Intervention) -> float:
    """Share of the loss at the start avoided: for tasks without a better measure."""
    own = trainer.loss_of(rows)
    key = id(data), change.scale_x, change.unit_x
    if key not in trainer.losses_at_start:
        held = trainer.values()
        trainer.reset()
        look = Rows(scaled_inputs(data, data.look.x, change), data.look.y)
        trainer.losses_at_start[key] = trainer.loss_of(look)
        trainer.reset(held)
    begin = trainer.losses_at_start[key]
    if not np.isfinite(own):
        return -1.0
    if not begin > 0 or own < 0:  # a loss without a least value has no shares
        return float("nan")
    return float(np.clip(1 - own / begin, -1, 1))
