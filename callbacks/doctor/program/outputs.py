"""The outputs of a model, each with its own head, loss, targets and task."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.graph import known_graph
from kcnn.callbacks.doctor.program.head import HeadFacts, read_head
from kcnn.callbacks.doctor.program.loss import LossFacts, read_loss
from kcnn.callbacks.doctor.program.task import TaskFacts, read_task

__all__ = ["Output", "read_outputs"]

NUMBERS = 200_000  # targets of images that are looked at
GREY = 8  # more distinct values than this, and than outputs, are no classes


@dataclasses.dataclass
class Output:
    """One output of a model.

    Args:
        name: Of the output; empty where there is only one.
        place, target: Its number among the flattened predictions, and among the targets.
        y, out: Its targets, and predictions of the first rows before training.
        places: True for an answer at each place of an image or a sequence: `task` and `y` are
            those of the places.
    """

    name: str
    place: int
    target: int
    head: HeadFacts
    loss: LossFacts
    task: TaskFacts
    y: np.ndarray
    out: np.ndarray
    places: bool = False

    @property
    def prefix(self) -> str:
        return f"output {self.name}: " if self.name else ""

    @property
    def evidence(self) -> dict[str, Any]:
        """The numbers that findings about this output carry."""
        return {
            "activation": self.head.activation, "units": self.head.units, "loss": self.loss.name,
            "from_logits": self.loss.from_logits, "task": self.task.kind,
            "classes": self.task.classes,
        }  # fmt: skip

    def place_by_place(self) -> Output:
        """The same output with each place as a row; itself where shapes do not agree."""
        y, out = self.y, self.out
        ids = y.shape[1:] == out.shape[1:-1]
        if not ids and (y.ndim != out.ndim or y.shape[1:-1] != out.shape[1:-1]):
            return self
        flat = y[: max(1, NUMBERS // max(int(np.prod(y.shape[1:])), 1))]
        flat = flat.reshape(-1) if ids else flat.reshape(-1, y.shape[-1])
        if flat.ndim == 2 and flat.shape[-1] == 1:
            flat = flat[:, 0]
        task = read_task(flat, loss=self.loss, units=self.head.units, scores=False)
        few = len(np.unique(flat[: NUMBERS // 4])) <= max(GREY, self.head.units)
        if task.exclusive and not few:
            task = dataclasses.replace(task, kind="regression", form="numbers", classes=1)
        head = dataclasses.replace(self.head, rank=2)
        return dataclasses.replace(self, head=head, task=task, y=flat, places=True)


def read_outputs(graph: keras.Model, loss: Any, out: Any, y: Any) -> list[Output]:
    """Several outputs with their own losses and targets; those that have none are left out."""
    outs, targets = keras.tree.flatten(out), keras.tree.flatten(y)
    names = [str(name) for name in getattr(graph, "output_names", range(len(outs)))]
    order = list(range(len(targets)))
    if isinstance(out, dict):
        names = sorted(out)
    if isinstance(y, dict):
        if not set(names) <= set(y):
            return []
        order = [sorted(y).index(name) for name in names]
    ends = keras.tree.flatten(graph.output) if known_graph(graph) else []
    if len(outs) != len(order) or len(names) != len(outs):
        return []
    found = []
    for at, name in enumerate(names):
        one = loss
        if isinstance(loss, dict):
            one = loss.get(name)
        elif isinstance(loss, (list, tuple)):
            one = loss[at] if at < len(loss) else None
        if one is None:
            continue
        target = np.asarray(targets[order[at]])
        facts = read_loss(one)
        head = read_head(graph, outs[at], ends[at] if at < len(ends) else None)
        task = read_task(target, loss=facts, units=head.units, scores=False)
        output = Output(name, at, order[at], head, facts, task, target, outs[at])
        found.append(output.place_by_place() if head.rank != 2 else output)
    return found
