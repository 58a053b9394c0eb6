"""Reading a program into a `Context`; a part that cannot be read is told."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Case, Census
from kcnn.callbacks.doctor._context import Context
from kcnn.callbacks.doctor._registry import Selection
from kcnn.callbacks.doctor._trace import first_rows
from kcnn.callbacks.doctor.program.graph import graph_of, has_call
from kcnn.callbacks.doctor.program.head import read_head
from kcnn.callbacks.doctor.program.loss import metric_names, read_loss
from kcnn.callbacks.doctor.program.outputs import Output, read_outputs
from kcnn.callbacks.doctor.program.rows import few
from kcnn.callbacks.doctor.program.task import read_task

__all__ = ["read_context"]

SCORES = ("auc", "precision", "recall")  # metrics that speak of classes, beside accuracies


def read_context(model: keras.Model, case: Case, selection: Selection | None = None) -> Context:
    """Read a program; a part that cannot be read is told in `case.unseen`."""
    context = Context(model, case, selection or Selection(), graph=model)
    read = functools.partial(_read, case)
    x = first_rows(case.train.x, few(case.train.x))
    out = None
    if has_call(model):
        out = read("predicting with the model", lambda: _predictions(model, x), blind=False)
    else:
        case.unseen.append("the outputs: the model has no call(inputs)")
    context.metrics = read("reading the metrics", lambda: metric_names(model)) or []
    context.graph = read("reading the graph", lambda: graph_of(model, first_rows(x, 2))) or model
    if has_call(model) and not context.has_graph:
        case.unseen.append("the order of the layers: the model's call cannot be traced")
    y = case.train.y
    if out is None or any(leaf is None for leaf in keras.tree.flatten(y)):
        return context
    if isinstance(out, np.ndarray) and isinstance(y, np.ndarray):
        if y.dtype.kind in "biuf":
            read("reading the task", lambda: _read_single(context, out))
    else:
        context.outputs = (
            read("reading the outputs", lambda: read_outputs(context.graph, model.loss, out, y))
            or []
        )
    for one in context.outputs:
        if one.loss.kind == "other" and one.loss.name != "none" and not one.loss.margin:
            case.notes.append(
                f"{one.prefix}whether the loss {one.loss.name} fits the last layer and the targets "
                "was not judged: it is none that is known"
            )
    return context


def _read(case: Case, what: str, reader: Callable[[], Any], blind: bool = True) -> Any:
    try:
        return reader()
    except Exception as error:
        case.broke(what, error, blind=blind)
        return None


def _predictions(model: keras.Model, x: Any) -> Any:
    out = model(x, training=False)
    return keras.tree.map_structure(lambda t: keras.ops.convert_to_numpy(t), out)


def _read_single(context: Context, out: np.ndarray) -> None:
    flat = keras.tree.flatten(context.model.loss)
    context.loss = read_loss(flat[0] if len(flat) == 1 else None)
    context.head = read_head(context.graph, out)
    names = [name for name, _ in context.metrics]
    scores = any("acc" in name or name in SCORES for name in names)
    y = _all_targets(context.case)
    context.task = read_task(y, loss=context.loss, units=context.head.units, scores=scores)
    if context.head.rank > 2:  # an answer at each place
        context.task = dataclasses.replace(context.task, kind="other")
    one = Output("", 0, 0, context.head, context.loss, context.task, context.case.train.y, out)
    context.outputs = [one.place_by_place() if context.head.rank != 2 else one]


def _all_targets(case: Case) -> np.ndarray:
    """Training targets; behind them every other label that went by, and those of validation."""
    y = case.train.y
    parts = [y]
    census = case.census if isinstance(case.census, Census) else None
    if census is not None and census.values is not None and y.shape[1:] in ((), (1,)):
        parts.append(census.values.astype(y.dtype).reshape(-1, *y.shape[1:]))
    if case.val is not None and isinstance(case.val.y, np.ndarray):
        parts += [case.val.y] if case.val.y.shape[1:] == y.shape[1:] else []
    return np.concatenate(parts)
