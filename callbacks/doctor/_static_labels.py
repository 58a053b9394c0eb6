"""Do labels and number of outputs fit together?"""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes

from __future__ import annotations

import numpy as np

from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["judge_labels", "judge_single_softmax", "judge_units", "right_head"]

RIGHT = {
    "binary": "Dense(1, activation='sigmoid') with loss='binary_crossentropy'",
    "multiclass": "Dense({k}, activation='softmax') with a categorical cross-entropy",
    "multilabel": "Dense({k}, activation='sigmoid') with loss='binary_crossentropy'",
    "regression": "Dense({k}) without activation with loss='mse'",
}


def right_head(task: TaskFacts) -> str:
    """In words, a head and a loss that fit the task."""
    return RIGHT[task.kind].format(k=task.classes)


def judge_labels(head, loss, task, y):
    """Labels scaled, shifted, empty or all the same: cause, weight, seen, expected, advice."""
    values = task.values
    if not len(values):
        return
    shown = ", ".join(f"{v:g}" for v in values[:6])
    if loss.kind in ("scce", "cce", "bce") and len(values) == 1 and y.ndim < 3:
        yield (
            "label_encoding", 1.0, f"every label is {shown}", f"{max(2, head.units)} classes",
            "Look at y: all labels became the same value, as after integer division or scaling.",
        )  # fmt: skip
        return
    if loss.kind == "scce" and not task.whole:
        yield (
            "label_encoding", 1.0, f"labels are fractions ({shown}, ...)", "whole class numbers",
            "Give class numbers 0..k-1 as integers; only the inputs are to be scaled.",
        )  # fmt: skip
        return
    if task.form == "onehot" and task.scaled == 0.0:
        empty = float((y.sum(1) == 0).mean())
        yield (
            "label_encoding", 1.0, f"{100 * empty:.0f} % of the one-hot rows are empty",
            "exactly one 1 in each row", "Make y with keras.utils.to_categorical(ids).",
        )  # fmt: skip
        return
    if task.form == "onehot" and task.scaled != 1.0 and task.kind == "multiclass":
        yield (
            "label_encoding", 1.0, f"one-hot labels hold {task.scaled:g} instead of 1",
            "zeros and ones", "Do not scale y: leave one-hot labels at 0 and 1.",
        )  # fmt: skip
        return
    if task.kind == "multiclass" and task.form == "ids" and loss.kind in ("scce", "cce", "bce"):
        if loss.kind == "scce" and task.low < 0:
            yield (
                "label_encoding", 1.0, f"class numbers start at {task.low:g}", "0..k-1",
                "Shift the labels so that the first class is 0.",
            )  # fmt: skip
        elif loss.kind == "scce" and task.high >= head.units > 1:
            shifted = task.low >= 1 and task.high - task.low + 1 <= head.units
            gaps = task.classes <= head.units
            if shifted or gaps:
                yield (
                    "label_encoding", 1.0,
                    f"class numbers run from {task.low:g} to {task.high:g} for {head.units} "
                    "outputs", f"0..{head.units - 1}",
                    "Renumber the classes from 0, for example y - y.min().",
                )  # fmt: skip
        elif loss.kind == "bce" and head.units == 1 and not task.whole:
            yield (
                "label_encoding", 1.0, f"labels {shown} under a binary loss", "0 and 1",
                "Give the labels as 0 and 1.",
            )  # fmt: skip
        elif loss.kind == "cce" and head.units > 1:
            yield (
                "label_encoding", 0.95, "class numbers under categorical_crossentropy",
                f"one-hot rows of {head.units}",
                "Use loss='sparse_categorical_crossentropy', or keras.utils.to_categorical(y).",
            )  # fmt: skip
    if task.kind == "binary" and loss.kind in ("bce", "scce") and head.units <= 2:
        soft = 0 <= values[0] < 0.5 < values[-1] <= 1  # labels smoothed by hand
        numbered = loss.kind == "scce" and head.units > task.high
        if set(values) != {0, 1} and not numbered and not (soft and loss.kind == "bce"):
            yield (
                "label_encoding", 1.0, f"the two labels are {shown}", "0 and 1",
                "Map the labels to 0 and 1 before training.",
            )  # fmt: skip
    if task.kind == "binary" and task.form == "ids" and loss.kind == "cce" and head.units == 2:
        yield (
            "label_encoding", 0.95, "class numbers under categorical_crossentropy",
            "one-hot rows of 2",
            "Use loss='sparse_categorical_crossentropy', or keras.utils.to_categorical(y).",
        )  # fmt: skip
    if task.form in ("onehot", "bits") and loss.kind == "scce" and y.ndim == 2 and y.shape[1] > 1:
        yield (
            "label_encoding", 0.95, "one-hot rows under sparse_categorical_crossentropy",
            "one class number a row",
            "Use loss='categorical_crossentropy', or y.argmax(axis=1).",
        )  # fmt: skip
    if task.kind == "multilabel" and loss.kind == "bce" and task.low < 0:
        yield (
            "label_encoding", 1.0, f"labels are {shown}", "0 and 1",
            "Map the labels to 0 and 1: (y + 1) / 2.",
        )  # fmt: skip
    one = task.form == "onehot"
    if one and task.kind == "multiclass" and loss.kind in ("cce", "kld", "mse", "bce"):
        empty = task.classes - len(np.unique(task.labels))
        if empty and len(np.unique(task.labels)) == 1:
            yield (
                "label_encoding", 1.0, "all rows belong to one class", f"{task.classes} classes",
                "Look at how y was one-hot encoded: only one column is ever set.",
            )  # fmt: skip


def judge_single_softmax(head, loss, task, y):
    """Softmax over one output."""
    if head.units == 1 and "softmax" in head.activations:
        if task.kind == "multiclass":
            yield (
                "wrong_output_units", 1.0, "softmax over a single output is always 1",
                right_head(task), f"Give the last layer {task.classes} units.",
            )  # fmt: skip
        else:
            right = "sigmoid" if task.kind != "regression" else "linear"
            yield (
                "wrong_output_activation", 1.0, "softmax over a single output is always 1",
                right_head(task), f"Change the last activation to {right!r}.",
            )  # fmt: skip


def judge_units(head, loss, task, y):
    """A number of outputs that does not fit the targets."""
    k = task.classes
    if task.kind == "multiclass" and task.form == "ids":
        if head.units == 1 and "softmax" not in head.activations:
            if loss.classifies or "sigmoid" in head.activations or len(task.values) > 2:
                yield (
                    "wrong_output_units", 0.95, f"one output for {k} classes", right_head(task),
                    f"Give the last layer {k} units with softmax and "
                    "sparse_categorical_crossentropy.",
                )  # fmt: skip
        elif 1 < head.units < k or (loss.kind == "scce" and 1 < head.units <= task.high):
            if not (task.low >= 1 and task.high - task.low + 1 <= head.units):
                if k > head.units:
                    yield (
                        "wrong_output_units", 1.0, f"{head.units} outputs for {k} classes",
                        right_head(task), f"Give the last layer {k} units.",
                    )  # fmt: skip
        elif head.units > 2 * k and head.units > k + 2 and task.high + 1 < head.units / 2:
            yield (
                "wrong_output_units", 0.6, f"{head.units} outputs for {k} classes",
                right_head(task), f"Give the last layer {k} units.",
            )  # fmt: skip
    if task.kind == "binary" and task.form == "ids" and head.units > 2 and loss.kind != "other":
        yield (
            "wrong_output_units", 0.9, f"{head.units} outputs for two classes", right_head(task),
            "Use one sigmoid unit, or two softmax units.",
        )  # fmt: skip
    if (
        task.kind == "binary"
        and task.form == "ids"
        and head.units == 2
        and (loss.kind == "bce" or loss.regresses)
    ):
        yield (
            "wrong_output_units", 0.9, "two outputs against one 0/1 column", right_head(task),
            "Use one sigmoid unit, or sparse_categorical_crossentropy.",
        )  # fmt: skip
    columns = task.kind in ("multilabel", "regression") or task.form == "onehot"
    if columns and y.ndim == 2 and head.units != y.shape[1]:
        if loss.kind not in ("other", "scce") and not (
            head.units == 1 and "softmax" in head.activations
        ):
            yield (
                "wrong_output_units", 0.95, f"{head.units} outputs for {y.shape[1]} targets",
                right_head(task), f"Give the last layer {y.shape[1]} units.",
            )  # fmt: skip
    if task.kind == "regression" and y.ndim == 1 and head.units > 1 and loss.regresses:
        yield (
            "wrong_output_units", 0.95, f"{head.units} outputs for one target", right_head(task),
            "Give the last layer one unit.",
        )  # fmt: skip
