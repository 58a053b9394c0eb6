"""Interventions: change one thing, train as long as the user did, compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._rows import Case, Rows
from kcnn.callbacks.doctor._setting import Outcome, Setting
from kcnn.callbacks.doctor.program.copies import copy_model
from kcnn.callbacks.doctor.program.customary import Standard
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.skill import balanced_skill, classes_of, loss_skill, skill
from kcnn.callbacks.doctor.program.task import TaskFacts
from kcnn.callbacks.doctor.trials.trainer import Trainer, batch_order, copy_optimizer

__all__ = ["Workshop"]

LOOK = 300, 2000  # rows that a skill is measured on: at least, at most


class Workshop:
    """Trains copies of the user's model under changed settings.

    Args:
        model: The user's model, at its start.
        graph: The same layers as a Functional model, or the model itself.
        rates: Learning rate of each step of the run.
        steps: Steps of the run.
    """

    def __init__(
        self, model: keras.Model, case: Case, task: TaskFacts, head: HeadFacts, loss: LossFacts,
        *, graph: keras.Model, rates: np.ndarray, steps: int, own_val: bool,
    ):  # fmt: skip
        self.model, self.case, self.graph = model, case, graph
        place = {id(v): at for at, v in enumerate(model.variables)}
        self._places = [place.get(id(v)) for v in graph.variables]
        self.task, self.head, self.loss = task, head, loss
        self.rates, self.steps = rates, steps
        self.labels = task.labels
        self.edits: dict[str, Callable[[Any], Any]] = {}
        self.own_val = own_val
        self.standard = Standard(task, head)
        self._trainers: dict[Any, Trainer | None] = {}
        self.split()

    def split(self) -> None:
        """Which rows train and which judge: the user's validation rows, or a fifth held out."""
        n, self.train, self.val = self.case.train.n, self.case.train, None
        labels = self.labels if self.labels is not None and len(self.labels) >= n else None
        self.train_labels = None if labels is None else labels[:n]
        self.val_labels, self.held_out = None, False
        if self.own_val and self.case.val is not None and self.case.val.n >= 10:
            self.val = self.case.val
            self.val_labels = None if labels is None or len(labels) <= n else labels[n:]
        elif n >= 80:
            self.held_out = True
            order = np.random.default_rng(7).permutation(n)
            cut = n // 5
            held, kept = order[:cut], np.sort(order[cut:])
            self.val, self.train = self.case.train.take(held), self.case.train.take(kept)
            if labels is not None:
                self.val_labels, self.train_labels = labels[held], labels[kept]
        most = int(np.clip(self.steps * self.case.batch_size / 8, *LOOK))
        pick = np.random.default_rng(3).permutation(self.train.n)[:most]
        self.look = self.train.take(pick)
        self.look_labels = None if self.train_labels is None else self.train_labels[pick]
        if self.val is not None and self.val.n > most:
            pick = np.random.default_rng(4).permutation(self.val.n)[:most]
            self.val = self.val.take(pick)
            self.val_labels = None if self.val_labels is None else self.val_labels[pick]

    def trainer(self, setting: Setting) -> Trainer | None:
        """The copy with the loop for this setting, made once."""
        weighted = self._weights(setting, self.train, self.train_labels) is not None
        key = setting.edit, setting.optimizer, setting.loss, weighted, setting.clip, setting.head
        if key not in self._trainers:
            sample = keras.tree.map_structure(lambda leaf: leaf[:2], self.train.x)
            edit = self.edits.get("head" if setting.head else setting.edit)
            twin = None
            if not (setting.edit or setting.head) or edit is not None:
                for trainer in self._trainers.values():
                    if trainer is not None and trainer.model is self.model:
                        trainer.reset()  # a copy starts where the user's model started
                twin = copy_model(self.graph, sample, edit)
            if twin is None and not setting.edit and not self._trainers:
                twin = self.model
            optimizer = keras.optimizers.get(setting.optimizer) if setting.optimizer else None
            if setting.clip:
                optimizer = copy_optimizer(self.model.optimizer, clipnorm=1.0)
            self._trainers[key] = (
                None
                if twin is None
                else Trainer(
                    twin, self.model, weighted=weighted, optimizer=optimizer,
                    loss=self.standard.loss if setting.head else setting.loss or None,
                )
            )  # fmt: skip
        return self._trainers[key]

    def values(self, trainer: Trainer, values: list[np.ndarray]) -> list[np.ndarray]:
        """Values of the user's variables in the order of a copy's."""
        if trainer.model is self.model or None in self._places:
            return values
        return [values[at] for at in self._places if at is not None]

    def try_out(
        self, setting: Setting, *, steps: int, seed: int = 0, until: float = np.inf,
        start: list[np.ndarray] | None = None,
    ) -> Outcome | None:  # fmt: skip
        """Train under a setting; None when the copy cannot be made."""
        begin = time.perf_counter()
        trainer = self.trainer(setting)
        if trainer is None:
            return None
        if setting.start == "fresh":
            from kcnn.callbacks.doctor._edits import fresh_kernels

            start = fresh_kernels(trainer.model, seed)
        trainer.reset(start)
        rows, undo = self._prepared(setting)
        weight = self._weights(setting, self.train, self.train_labels)
        rows = Rows(rows.x, rows.y, weight)
        if setting.clean and self.val is not None:
            rows = self.val.take(slice(0, self.val.n // 2))
        batch = min(setting.batch or self.case.batch_size, rows.n)
        if setting.batch:  # the same number of samples seen
            steps = max(1, int(steps * self.case.batch_size / batch))
        shuffle = self.case.shuffled if setting.shuffle is None else setting.shuffle
        order = batch_order(rows.n, batch, steps, shuffle=shuffle, seed=seed + 1)
        at = np.minimum(
            np.linspace(
                0, len(self.rates) * len(order) / max(self.steps, 1), len(order), endpoint=False
            ),
            len(self.rates) - 1,
        ).astype(int)
        if setting.batch:
            at = np.linspace(0, len(self.rates) - 1, len(order)).astype(int)
        rates = setting.rate * self.rates[at]
        if setting.hold or setting.steps != 1.0:
            rates = np.full(len(order), self.rates.max() if setting.hold else self.rates[-1])
        if setting.optimizer:
            rates = np.full(len(order), setting.rate)
        losses = trainer.train(rows, order, rates, until)
        outcome = self.half(trainer) if setting.clean else self.measure(trainer, setting, undo)
        outcome.losses, outcome.steps = losses, len(losses)
        outcome.seconds = time.perf_counter() - begin
        return outcome

    def half(self, trainer: Trainer) -> Outcome:
        """Skill on the second half of the judging rows, as both skills."""
        assert self.val is not None
        part = slice(self.val.n // 2, None)
        labels = None if self.val_labels is None else self.val_labels[part]
        value, balanced = self._skill(trainer, self.val.take(part), labels, None, None)
        return Outcome(value, value, np.zeros(0), 0, balanced)

    def measure(
        self, trainer: Trainer, setting: Setting | None = None, undo: Any = None
    ) -> Outcome:
        """Skills of a trainer's present weights."""
        train, balanced = self._skill(trainer, self.look, self.look_labels, setting, undo)
        val = float("nan")
        if self.val is not None:
            val, balanced = self._skill(trainer, self.val, self.val_labels, setting, undo)
        return Outcome(train, val, np.zeros(0), 0, balanced)

    def _skill(self, trainer, rows, labels, setting, undo):
        x = self._scaled_x(rows.x) if setting is not None and setting.scale_x else rows.x
        out = trainer.predict(x)
        if undo is not None and isinstance(out, np.ndarray):
            out = undo(out)
        head, loss = self.head, self.loss
        if setting is not None and setting.head:
            head, loss = self.standard.head, self.standard.facts
        balanced = 1.0
        single = isinstance(out, np.ndarray)
        if labels is not None and single and self.task.kind in ("binary", "multiclass"):
            balanced = balanced_skill(classes_of(out, head, loss), labels)
        value = skill(out, rows.y, self.task, head, loss, labels)
        if balanced < 1.0 and self.case.class_weight:  # the user asks for every class alike
            value = balanced
        if single and self.task.kind == "regression" and self.loss.kind == "other":
            own = loss_skill(self.model.loss, out, rows.y)
            other = setting is not None and setting.head  # another loss: judged by the user's
            value = own if other and own > -1 else max(value, own)
        if not np.isfinite(value):
            value = self._avoided(trainer, rows)
        return value, balanced

    def _avoided(self, trainer: Trainer, rows: Rows) -> float:
        """Share of the loss at the start avoided: for tasks without a better measure."""
        own = trainer.loss_of(rows)
        if not hasattr(self, "_loss_at_start"):
            held = trainer.values()
            trainer.reset()
            self._loss_at_start = trainer.loss_of(self.look)
            trainer.reset(held)
        begin = self._loss_at_start
        if not np.isfinite(own):
            return -1.0
        return float(np.clip(1 - own / begin, -1, 1)) if begin > 0 else float("nan")

    def _prepared(self, setting: Setting):
        x, y, undo = self.train.x, self.train.y, None
        if setting.scale_x:
            x = self._scaled_x(x)
        if setting.scale_y:
            values = np.asarray(y, "float64")
            mean, std = values.mean(0), values.std(0) + 1e-12
            y = ((values - mean) / std).astype("float32")
            undo = lambda out: out * std.reshape(-1)[: out.shape[-1]] + mean  # noqa: E731
        return Rows(x, y), undo

    def _scaled_x(self, x: Any) -> Any:
        if not hasattr(self, "_moments"):
            self._moments = [_moments(leaf) for leaf in keras.tree.flatten(self.train.x)]
        leaves = [
            leaf if many is None else ((np.nan_to_num(leaf) - many[0]) / many[1]).astype("float32")
            for leaf, many in zip(keras.tree.flatten(x), self._moments, strict=True)
        ]
        return keras.tree.pack_sequence_as(x, leaves)

    def _weights(self, setting: Setting, rows: Rows, labels: Any) -> np.ndarray | None:
        weight = rows.weight
        if labels is None or weight is not None:
            return weight
        if self.case.class_weight:
            given = self.case.class_weight
            ids = rows.y.reshape(-1) if self.task.form == "ids" else labels
            kinds, place = np.unique(ids, return_inverse=True)
            return np.asarray([given.get(int(k), 1.0) for k in kinds], "float32")[place]
        if setting.balance:
            counts = np.bincount(labels, minlength=self.task.classes)
            present = int((counts > 0).sum())
            return (len(labels) / (present * np.maximum(counts, 1)))[labels].astype("float32")
        return None


def _moments(leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and deviation per column, or per channel of images; None for what is no number."""
    if leaf.dtype.kind not in "fiu":
        return None
    values = np.nan_to_num(np.asarray(leaf, "float64"))
    axes = tuple(range(values.ndim - 1)) if values.ndim >= 4 else 0
    mean, std = values.mean(axes), values.std(axes)
    return mean, np.where(std < 1e-9, 1.0, std)
