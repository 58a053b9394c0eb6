"""All that can be known before training: task, head, loss, and first suspicions."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._head import HeadFacts, read_head
from kcnn.callbacks.doctor._losses import LossFacts, metric_names, read_loss
from kcnn.callbacks.doctor._rows import Case
from kcnn.callbacks.doctor._static_body import judge_body
from kcnn.callbacks.doctor._static_data import (
    first_inputs,
    judge_finite,
    judge_order,
    judge_scale,
)
from kcnn.callbacks.doctor._static_dense import judge_dense, judge_outputs
from kcnn.callbacks.doctor._static_head import judge_head
from kcnn.callbacks.doctor._static_metric import judge_metrics
from kcnn.callbacks.doctor._static_split import judge_balance, judge_leak, judge_shift
from kcnn.callbacks.doctor._static_start import judge_optimizer, judge_start
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._task import TaskFacts, read_task
from kcnn.callbacks.doctor._trace import first_rows
from kcnn.callbacks.doctor._view import graph_of

__all__ = ["Facts", "few", "read_facts"]

OTHER = TaskFacts("other", "numbers", 0, None, np.array([]), False, 0.0, 0.0)


@dataclasses.dataclass
class Facts:
    """What stands fixed before the first step."""

    case: Case
    task: TaskFacts
    head: HeadFacts
    loss: LossFacts
    metrics: list[tuple[str, Any]]
    suspects: list[Suspect]
    graph: Any


def read_facts(model: keras.Model, case: Case) -> Facts:
    """Read the program; suspicions are ranked by weight.

    What cannot be read (columns of text, a model that refuses its data) is left to `fit`.
    """
    try:
        return _read(model, case)
    except Exception as error:
        case.notes.append(f"facts could not be read: {type(error).__name__}")
        none = LossFacts("other", "unknown")
        return Facts(case, OTHER, HeadFacts((), 0, 0, seen=False), none, [], [], model)


def _read(model: keras.Model, case: Case) -> Facts:
    metrics = metric_names(model)
    loss = read_loss(_single(model.loss))
    outputs = _outputs(model, case)
    graph = graph_of(model, first_rows(case.train.x, 2))
    task, head = OTHER, HeadFacts((), 0, 0, seen=False)
    suspects: list[Suspect] = []
    y = case.train.y
    if isinstance(y, np.ndarray) and y.dtype.kind in "OSU":
        suspects.append(_text(y))
    elif isinstance(y, np.ndarray) and isinstance(outputs, np.ndarray):
        head = read_head(graph, outputs)
        scores = any("acc" in name or name in ("auc", "precision", "recall") for name, _ in metrics)
        task = read_task(_all_targets(case), loss=loss, units=head.units, scores=scores)
        if head.rank == 2:
            suspects += judge_head(head, loss, task, y)
        else:
            suspects += judge_dense(head, loss, y, outputs)
        suspects += judge_metrics(metrics, head, loss, task, y)
        suspects += judge_order(case, task)
        suspects += judge_balance(case, task)
        suspects += judge_leak(case)
        suspects += judge_shift(case, task)
    else:
        suspects += judge_outputs(graph, model.loss, outputs, y)
    suspects += judge_finite(model, case)
    suspects += _scales(graph, case, task)
    suspects += judge_body(
        graph,
        batch_size=case.batch_size,
        classes=task.classes,
        classifies=task.kind in ("binary", "multiclass", "multilabel"),
        head=head,
    )
    suspects += judge_start(model)
    suspects += judge_optimizer(model.optimizer)
    suspects.sort(key=lambda s: -s.weight)
    return Facts(case, task, head, loss, metrics, suspects, graph)


def _text(y: np.ndarray) -> Suspect:
    return Suspect(
        "label_encoding",
        1.0,
        f"labels are text or objects ({str(y.reshape(-1)[:1].tolist())[1:-1]}, ...)",
        "numbers",
        "Number the classes: names, y = np.unique(y, return_inverse=True).",
        where="y",
        firm=True,
        check="labels",
    )


def _scales(graph: keras.Model, case: Case, task: TaskFacts) -> list[Suspect]:
    """Size of what the first layers receive, and of the targets."""
    sample = first_rows(case.train.x, 1000)
    if not isinstance(sample, np.ndarray):
        found: list[Suspect] = []
        for leaf in keras.tree.flatten(sample):
            found += judge_scale(leaf if leaf.dtype.kind == "f" else None, OTHER, None)
        return sorted(found, key=lambda s: -s.weight)[:1]
    try:
        inside = first_inputs(graph, sample)
    except Exception:  # a graph that cannot be cut open: judged on what goes in
        inside = sample
    return list(judge_scale(inside, task, case.train.y))


def _single(loss: Any) -> Any:
    flat = keras.tree.flatten(loss)
    return flat[0] if len(flat) == 1 else loss if not isinstance(loss, (dict, list)) else None


def _all_targets(case: Case) -> np.ndarray:
    """Training targets, with those of the validation rows behind them where they fit."""
    y = case.train.y
    if case.val is None or not isinstance(case.val.y, np.ndarray):
        return y
    if case.val.y.shape[1:] != y.shape[1:]:
        return y
    return np.concatenate([y, case.val.y])


def few(x: Any, most: int = 256) -> int:
    """How many rows to look at: fewer when they are large (about two million numbers)."""
    size = max(int(np.prod(leaf.shape[1:])) for leaf in keras.tree.flatten(x))
    return int(np.clip(2_000_000 // max(size, 1), 16, most))


def _outputs(model: keras.Model, case: Case) -> Any:
    try:
        out = model(first_rows(case.train.x, few(case.train.x)), training=False)
    except Exception:  # a model that refuses its data: fit will say so
        return None
    return keras.tree.map_structure(lambda t: keras.ops.convert_to_numpy(t), out)
