"""Interventions: change one thing, train as long as the user did, compare."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._head import HeadFacts
from kcnn.callbacks.doctor._losses import LossFacts
from kcnn.callbacks.doctor._rig import Rig, batch_order, copy_model, copy_optimizer
from kcnn.callbacks.doctor._rows import Case, Rows
from kcnn.callbacks.doctor._skill import balanced_skill, classes_of, skill
from kcnn.callbacks.doctor._task import TaskFacts

__all__ = ["Outcome", "Setting", "Workshop"]

LOOK = 300, 2000  # rows that a skill is measured on: at least, at most


@dataclasses.dataclass(frozen=True)
class Setting:
    """One change to the user's program; every field at its default is the program itself."""

    rate: float = 1.0
    batch: int | None = None
    shuffle: bool | None = None
    scale_x: bool = False
    scale_y: bool = False
    balance: bool = False
    clip: bool = False
    edit: str = ""
    start: str = ""
    optimizer: str = ""
    loss: str = ""
    head: str = ""
    steps: float = 1.0
    clean: bool = False


@dataclasses.dataclass
class Outcome:
    """How a trial ended: skills on training and held-out rows, and its losses."""

    train: float
    val: float
    losses: np.ndarray
    steps: int
    balanced: float = 1.0
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """Mean of both skills; the training skill alone without held-out rows."""
        if not np.isfinite(self.val):
            return self.train
        return 0.5 * (self.train + self.val)


class Workshop:
    """Trains copies of the user's model under changed settings.

    Args:
        model: The user's model, at its start.
        rates: Learning rate of each step of the run.
        steps: Steps of the run.
    """

    def __init__(
        self, model: keras.Model, case: Case, task: TaskFacts, head: HeadFacts, loss: LossFacts,
        *, rates: np.ndarray, steps: int, own_val: bool,
    ):  # fmt: skip
        self.model, self.case = model, case
        self.task, self.head, self.loss = task, head, loss
        self.rates, self.steps = rates, steps
        self.labels = task.labels
        self.edits: dict[str, Callable[[Any], Any]] = {}
        self.own_val = own_val
        self._rigs: dict[Any, Rig | None] = {}
        self.split()

    def split(self) -> None:
        """Which rows train and which judge: the user's validation rows, or a fifth held out."""
        n, self.train, self.val = self.case.train.n, self.case.train, None
        labels = self.labels if self.labels is not None and len(self.labels) >= n else None
        self.train_labels = None if labels is None else labels[:n]
        self.val_labels = None
        if self.own_val and self.case.val is not None and self.case.val.n >= 10:
            self.val = self.case.val
            self.val_labels = None if labels is None else self.case_val_labels
        elif n >= 80:
            order = np.random.default_rng(7).permutation(n)
            cut = n // 5
            held, kept = order[:cut], np.sort(order[cut:])
            self.val, self.train = self.case.train.take(held), self.case.train.take(kept)
            if labels is not None:
                self.val_labels, self.train_labels = labels[held], labels[kept]
        self.held_out = self.val is not None and not (self.own_val and self.case.val is not None)
        most = int(np.clip(self.steps * self.case.batch_size / 8, *LOOK))
        pick = np.random.default_rng(3).permutation(self.train.n)[:most]
        self.look = self.train.take(pick)
        self.look_labels = None if self.train_labels is None else self.train_labels[pick]
        if self.val is not None and self.val.n > most:
            pick = np.random.default_rng(4).permutation(self.val.n)[:most]
            self.val = self.val.take(pick)
            self.val_labels = None if self.val_labels is None else self.val_labels[pick]

    @property
    def case_val_labels(self):
        labels, n = self.labels, self.case.train.n
        return labels[n:] if labels is not None and len(labels) > n else None

    def rig(self, setting: Setting) -> Rig | None:
        """The copy with the loop for this setting, made once."""
        weighted = self._weights(setting, self.train, self.train_labels) is not None
        key = setting.edit, setting.optimizer, setting.loss, weighted, setting.clip
        if key not in self._rigs:
            sample = keras.tree.map_structure(lambda leaf: leaf[:2], self.train.x)
            edit = self.edits.get(setting.edit)
            twin = None
            if not setting.edit or edit is not None:
                twin = copy_model(self.model, sample, edit)
            if twin is None and not setting.edit and not self._rigs:
                twin = self.model
            optimizer = keras.optimizers.get(setting.optimizer) if setting.optimizer else None
            if setting.clip:
                optimizer = copy_optimizer(self.model.optimizer, clipnorm=1.0)
            self._rigs[key] = (
                None
                if twin is None
                else Rig(
                    twin, self.model, weighted=weighted, optimizer=optimizer,
                    loss=setting.loss or None,
                )
            )  # fmt: skip
        return self._rigs[key]

    def try_out(
        self, setting: Setting, *, steps: int, seed: int = 0, until: float = np.inf,
        start: list[np.ndarray] | None = None,
    ) -> Outcome | None:  # fmt: skip
        """Train under a setting; None when the copy cannot be made."""
        begin = time.perf_counter()
        rig = self.rig(setting)
        if rig is None:
            return None
        if setting.start == "fresh":
            from kcnn.callbacks.doctor._edits import fresh_kernels

            start = fresh_kernels(rig.model, seed)
        rig.reset(start)
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
        if setting.steps != 1.0:
            rates = np.full(len(order), self.rates[-1])
        if setting.optimizer:
            rates = np.full(len(order), setting.rate)
        losses = rig.train(rows, order, rates, until)
        outcome = self.half(rig) if setting.clean else self.measure(rig, setting, undo)
        outcome.losses, outcome.steps = losses, len(losses)
        outcome.seconds = time.perf_counter() - begin
        return outcome

    def half(self, rig: Rig) -> Outcome:
        """Skill on the second half of the judging rows, as both skills."""
        assert self.val is not None
        part = slice(self.val.n // 2, None)
        labels = None if self.val_labels is None else self.val_labels[part]
        value, balanced = self._skill(rig, self.val.take(part), labels, None, None)
        return Outcome(value, value, np.zeros(0), 0, balanced)

    def measure(self, rig: Rig, setting: Setting | None = None, undo: Any = None) -> Outcome:
        """Skills of a rig's present weights."""
        train, balanced = self._skill(rig, self.look, self.look_labels, setting, undo)
        val = float("nan")
        if self.val is not None:
            val, balanced = self._skill(rig, self.val, self.val_labels, setting, undo)
        return Outcome(train, val, np.zeros(0), 0, balanced)

    def _skill(self, rig, rows, labels, setting, undo):
        x = self._scaled_x(rows.x) if setting is not None and setting.scale_x else rows.x
        out = rig.predict(x)
        if undo is not None and isinstance(out, np.ndarray):
            out = undo(out)
        balanced = 1.0
        single = isinstance(out, np.ndarray)
        if labels is not None and single and self.task.kind in ("binary", "multiclass"):
            balanced = balanced_skill(classes_of(out, self.head, self.loss), labels)
        return skill(out, rows.y, self.task, self.head, self.loss, labels), balanced

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

    def _scaled_x(self, x: np.ndarray) -> np.ndarray:
        if not hasattr(self, "_moments"):
            values = np.nan_to_num(np.asarray(self.train.x, "float64"))
            axes = tuple(range(values.ndim - 1)) if values.ndim >= 4 else 0
            mean, std = values.mean(axes), values.std(axes)
            self._moments = mean, np.where(std < 1e-9, 1.0, std)
        mean, std = self._moments
        return ((np.nan_to_num(x) - mean) / std).astype("float32")

    def _weights(self, setting: Setting, rows: Rows, labels: Any) -> np.ndarray | None:
        weight = rows.weight
        if labels is None or weight is not None:
            return weight
        if self.case.class_weight:
            table = self.case.class_weight
            values = self.task.values if self.task.form == "ids" else np.arange(self.task.classes)
            lookup = [float(table.get(int(v), 1.0)) for v in values[: self.task.classes]]
            return np.asarray(lookup, "float32")[labels]
        if setting.balance:
            counts = np.bincount(labels, minlength=self.task.classes)
            return (len(labels) / (len(counts) * np.maximum(counts, 1)))[labels].astype("float32")
        return None
