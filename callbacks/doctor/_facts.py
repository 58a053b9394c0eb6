"""All that can be known before training: task, head, loss, and first suspicions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

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
from kcnn.callbacks.doctor._trace import first_rows
from kcnn.callbacks.doctor.program.head import HeadFacts, read_head
from kcnn.callbacks.doctor.program.loss import LossFacts, metric_names, read_loss
from kcnn.callbacks.doctor.program.task import TaskFacts, read_task
from kcnn.callbacks.doctor.program.view import graph_of

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

    What cannot be read (columns of text, a model that refuses its data) is left to `fit`; a check
    that breaks is kept in `case.unseen`, and the others go on.
    """
    none = LossFacts("other", "unknown")
    facts = Facts(case, OTHER, HeadFacts((), 0, 0, seen=False), none, [], [], model)
    look = functools.partial(_look, case)
    outputs = _outputs(model, case)
    look("reading metrics and loss", lambda: _read_compiled(facts, model))
    look("reading the graph", lambda: _read_graph(facts, model))
    y = case.train.y
    found = facts.suspects
    if isinstance(y, np.ndarray) and y.dtype.kind in "OSU":
        found.append(_text(y))
    elif isinstance(y, np.ndarray) and isinstance(outputs, np.ndarray):
        look("reading the task", lambda: _read_task(facts, outputs))
        found += look("the check of the head", lambda: _judge_end(facts, y, outputs))
        found += look(
            "the check of metrics",
            lambda: judge_metrics(facts.metrics, facts.head, facts.loss, facts.task, y),
        )
        found += look("the check of the order", lambda: judge_order(case, facts.task))
        found += look("the check of the balance", lambda: judge_balance(case, facts.task))
        found += look("the check for leaks", lambda: judge_leak(case))
        found += look("the check of the split", lambda: judge_shift(case, facts.task))
    else:
        found += look(
            "the check of outputs", lambda: judge_outputs(facts.graph, model.loss, outputs, y)
        )
    found += look("the check for NaN", lambda: judge_finite(model, case))
    found += look("the check of scales", lambda: _scales(facts.graph, case, facts.task))
    found += look("the check of layers", lambda: _judge_layers(facts))
    found += look("the check of initial weights", lambda: judge_start(model))
    found += look("the check of the optimizer", lambda: judge_optimizer(model.optimizer))
    found.sort(key=lambda s: -s.weight)
    return facts


def _look(case: Case, what: str, judge: Callable[[], Any]) -> list[Suspect]:
    """What one check finds; one that breaks is told as such and finds nothing."""
    try:
        return list(judge() or ())
    except Exception as error:
        case.broke(what, error)
        return []


def _read_compiled(facts: Facts, model: keras.Model) -> None:
    facts.metrics = metric_names(model)
    facts.loss = read_loss(_single(model.loss))


def _read_graph(facts: Facts, model: keras.Model) -> None:
    facts.graph = graph_of(model, first_rows(facts.case.train.x, 2))


def _read_task(facts: Facts, outputs: np.ndarray) -> None:
    facts.head = read_head(facts.graph, outputs)
    scores = any(
        "acc" in name or name in ("auc", "precision", "recall") for name, _ in facts.metrics
    )
    facts.task = read_task(
        _all_targets(facts.case), loss=facts.loss, units=facts.head.units, scores=scores
    )


def _judge_end(facts: Facts, y: np.ndarray, outputs: np.ndarray) -> Any:
    if facts.head.rank == 2:
        return judge_head(facts.head, facts.loss, facts.task, y)
    return judge_dense(facts.head, facts.loss, y, outputs)


def _judge_layers(facts: Facts) -> Any:
    return judge_body(
        facts.graph,
        batch_size=facts.case.batch_size,
        classes=facts.task.classes,
        classifies=facts.task.kind in ("binary", "multiclass", "multilabel"),
        head=facts.head,
    )


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
