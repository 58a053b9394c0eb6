"""Does the metric measure the task?"""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
from __future__ import annotations

from collections.abc import Iterator

from kcnn.callbacks.doctor._head import HeadFacts
from kcnn.callbacks.doctor._losses import LossFacts
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._task import TaskFacts

__all__ = ["judge_metrics"]

SCORES = ("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")


def judge_metrics(
    names: list[str], head: HeadFacts, loss: LossFacts, task: TaskFacts
) -> Iterator[Suspect]:
    """Metrics that say nothing about the task."""
    for name in names:
        wrong = _wrong(name, head, loss, task)
        if wrong is not None:
            seen, advice = wrong
            yield Suspect(
                "wrong_metric",
                0.9,
                seen,
                f"a metric for {task.kind}",
                advice,
                where="compile(metrics=...)",
                firm=True,
                evidence={"metric": name, "task": task.kind},
            )
            return


def _wrong(name, head, loss, task):
    if task.kind == "regression" and loss.kind not in ("bce",):
        if name in SCORES or name == "exact_accuracy":
            return f"{name} of numbers", "Watch metrics=['mae'] instead of accuracy."
    if task.kind in ("binary", "multiclass", "multilabel"):
        if name == "exact_accuracy":
            return (
                "Accuracy() asks scores to equal labels exactly",
                "Write metrics=['accuracy'] and let Keras choose.",
            )
        one_hot = task.form in ("onehot", "bits")
        if name == "sparse_categorical_accuracy" and (head.units == 1 or one_hot):
            return f"{name} does not fit these labels", "Write metrics=['accuracy']."
        if name == "categorical_accuracy" and (head.units == 1 or not one_hot):
            return f"{name} does not fit these labels", "Write metrics=['accuracy']."
        if name == "binary_accuracy" and task.kind == "multiclass" and task.classes > 2:
            return (
                "binary_accuracy counts every zero of a one-hot row as a success",
                "Write metrics=['accuracy'] with a categorical cross-entropy.",
            )
        if name in ("r2_score", "r2score") and loss.classifies:
            return f"{name} of classes", "Write metrics=['accuracy']."
    return None
