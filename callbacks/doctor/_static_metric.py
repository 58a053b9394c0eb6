"""Does the metric measure the task?"""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["judge_metrics"]

SCORES = ("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")


def judge_metrics(
    metrics: list[tuple[str, Any]], head: HeadFacts, loss: LossFacts, task: TaskFacts, y: Any
) -> Iterator[Suspect]:
    """Metrics that say nothing about the task: by name, or by trying a function of the user's."""
    for name, given in metrics:
        wrong = _wrong(name, head, loss, task)
        if wrong is None and callable(given) and not isinstance(given, (type, str)):
            wrong = _blind(name, given, task, y)
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


def _blind(name, metric, task, y):
    """A function that answers the same for good and for bad predictions."""
    if isinstance(metric, keras.metrics.Metric) or not isinstance(y, np.ndarray):
        return None
    if task.kind not in ("multilabel", "regression", "binary") or task.scaled != 1.0:
        return None
    rng = np.random.default_rng(0)
    truth = np.asarray(y[:256], "float32")
    truth = truth[:, None] if truth.ndim == 1 else truth
    if not np.isfinite(truth).all() or len(truth) < 8:
        return None
    if task.kind == "regression":
        good = truth + 0.01 * truth.std() * rng.normal(size=truth.shape)
        bad = rng.permutation(truth) + truth.std() * rng.normal(size=truth.shape)
    else:
        good, bad = np.clip(truth, 0.1, 0.9), np.clip(1 - truth, 0.1, 0.9)
    try:
        answers = [
            float(np.mean(keras.ops.convert_to_numpy(metric(truth, part.astype("float32")))))
            for part in (good, bad)
        ]
    except Exception:  # the user's function wants something else
        return None
    if abs(answers[0] - answers[1]) > 1e-6 or not np.isfinite(answers).all():
        return None
    return (
        f"{name} answers {answers[0]:.3g} for good and for bad predictions alike",
        "Compare rounded predictions, or use one of Keras's metrics.",
    )


def _wrong(name, head, loss, task):
    numbers = task.kind == "regression" or (task.kind == "other" and not task.whole)
    if numbers and (loss.regresses or (task.kind == "regression" and loss.kind != "bce")):
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
