"""Heads of other ranks than (rows, units): images out, sequences out, several outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._static_head import judge_head
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.head import HeadFacts, read_head
from kcnn.callbacks.doctor.program.loss import LossFacts, read_loss
from kcnn.callbacks.doctor.program.task import read_task

__all__ = ["judge_dense", "judge_outputs"]


def judge_dense(head: HeadFacts, loss: LossFacts, y: Any, outputs: Any) -> Iterator[Suspect]:
    """A head with an answer at each place: judged as if each place were a row."""
    ids = y.shape[1:] == outputs.shape[1:-1]
    if not ids and y.ndim != outputs.ndim:
        if head.rank > 2 and y.ndim <= 2:
            yield Suspect(
                "wrong_output_units",
                1.0,
                f"outputs of shape {outputs.shape[1:]} for targets of shape {y.shape[1:]}",
                "one vector of outputs for each sample",
                "Put Flatten() or a global pooling (return_sequences=False in a recurrent layer) "
                "before the last Dense layer.",
                where=head.layer,
                firm=True,
                evidence={"outputs": list(outputs.shape[1:]), "targets": list(y.shape[1:])},
            )
        return
    if not ids and y.shape[1:-1] != outputs.shape[1:-1]:
        return
    flat = y[: max(1, 200_000 // max(int(np.prod(y.shape[1:])), 1))]
    flat = flat.reshape(-1) if ids else flat.reshape(-1, y.shape[-1])
    few = len(np.unique(flat[:50_000])) <= max(8, head.units)
    if flat.ndim > 1 and flat.shape[1] == 1:
        flat = flat[:, 0]
    kind = read_task(flat, loss=loss, units=head.units, scores=False)
    if kind.kind in ("binary", "multiclass") and not few:  # grey values are no classes
        kind = dataclasses.replace(kind, kind="regression", form="numbers", labels=None, classes=1)
    flat = flat if kind.form in ("onehot", "bits", "numbers") else flat.reshape(-1)
    for suspect in judge_head(dataclasses.replace(head, rank=2), loss, kind, flat):
        numbers = suspect.cause == "wrong_output_units" and kind.kind == "regression"
        if not numbers and not (suspect.cause == "wrong_loss" and loss.regresses):
            yield suspect


def judge_outputs(graph: keras.Model, loss: Any, outputs: Any, y: Any) -> Iterator[Suspect]:
    """Several outputs, each with its own loss and targets."""
    outs, targets = keras.tree.flatten(outputs), keras.tree.flatten(y)
    names = [str(name) for name in getattr(graph, "output_names", range(len(outs)))]
    if isinstance(outputs, dict) and isinstance(y, dict) and outputs.keys() == y.keys():
        names = sorted(outputs)
    elif isinstance(y, dict):
        if not set(names) <= set(y):
            return
        targets = [y[name] for name in names]
    if len(outs) != len(targets) or any(item is None for item in outs + targets):
        return
    for at, (out, target) in enumerate(zip(outs, targets, strict=True)):
        one = loss
        if isinstance(loss, dict):
            one = loss.get(names[at])
        elif isinstance(loss, (list, tuple)):
            one = loss[at] if at < len(loss) else None
        ends = getattr(graph, "outputs", None) or []
        tensor = ends[at] if at < len(ends) and not isinstance(outputs, dict) else None
        facts, head = read_loss(one), read_head(graph, out, tensor)
        if one is None or head.rank != 2:
            continue
        task = read_task(target, loss=facts, units=head.units, scores=False)
        for suspect in judge_head(head, facts, task, target):
            suspect.seen = f"output {names[at]}: {suspect.seen}"
            yield suspect
