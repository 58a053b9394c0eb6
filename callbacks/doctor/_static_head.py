"""Do the last activation, the loss, the labels and the number of outputs fit together?"""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kcnn.callbacks.doctor._head import HeadFacts
from kcnn.callbacks.doctor._losses import LossFacts
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor._task import TaskFacts

__all__ = ["judge_head"]

RIGHT = {
    "binary": "Dense(1, activation='sigmoid') with loss='binary_crossentropy'",
    "multiclass": "Dense({k}, activation='softmax') with a categorical cross-entropy",
    "multilabel": "Dense({k}, activation='sigmoid') with loss='binary_crossentropy'",
    "regression": "Dense({k}) without activation with loss='mse'",
}


def judge_head(
    head: HeadFacts, loss: LossFacts, task: TaskFacts, y: np.ndarray
) -> Iterator[Suspect]:
    """Contradictions between output layer, loss and targets, the gravest first."""
    if task.kind == "other" or head.rank != 2:
        return
    for judge in (_labels, _softmax_of_one, _units, _activation, _loss, _logits):
        for cause, weight, seen, expected, advice in judge(head, loss, task, y):
            yield Suspect(
                cause,
                abs(weight),
                seen,
                expected,
                advice,
                where=head.layer
                if cause.startswith("wrong_output")
                else "compile(loss=...)"
                if cause in ("wrong_loss", "loss_activation_mismatch")
                else "y",
                firm=weight >= 0.9,
                evidence={
                    "activation": head.activation,
                    "units": head.units,
                    "loss": loss.name,
                    "from_logits": loss.from_logits,
                    "task": task.kind,
                    "classes": task.classes,
                },
            )


def _right(task: TaskFacts) -> str:
    return RIGHT[task.kind].format(k=task.classes)


def _labels(head, loss, task, y):
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
        if set(values) != {0, 1} and not (loss.kind == "scce" and head.units > task.high):
            yield (
                "label_encoding", 1.0, f"the two labels are {shown}", "0 and 1",
                "Map the labels to 0 and 1 before training.",
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


def _softmax_of_one(head, loss, task, y):
    if head.units == 1 and "softmax" in head.activations:
        if task.kind == "multiclass":
            yield (
                "wrong_output_units", 1.0, "softmax over a single output is always 1",
                _right(task), f"Give the last layer {task.classes} units.",
            )  # fmt: skip
        else:
            right = "sigmoid" if task.kind != "regression" else "linear"
            yield (
                "wrong_output_activation", 1.0, "softmax over a single output is always 1",
                _right(task), f"Change the last activation to {right!r}.",
            )  # fmt: skip


def _units(head, loss, task, y):
    k = task.classes
    if task.kind == "multiclass" and task.form == "ids":
        if head.units == 1 and "softmax" not in head.activations:
            if loss.classifies or "sigmoid" in head.activations or len(task.values) > 2:
                yield (
                    "wrong_output_units", 0.95, f"one output for {k} classes", _right(task),
                    f"Give the last layer {k} units with softmax and "
                    "sparse_categorical_crossentropy.",
                )  # fmt: skip
        elif 1 < head.units < k or (loss.kind == "scce" and 1 < head.units <= task.high):
            if not (task.low >= 1 and task.high - task.low + 1 <= head.units):
                if k > head.units:
                    yield (
                        "wrong_output_units", 1.0, f"{head.units} outputs for {k} classes",
                        _right(task), f"Give the last layer {k} units.",
                    )  # fmt: skip
        elif head.units > 2 * k and head.units > k + 2 and task.high + 1 < head.units / 2:
            yield (
                "wrong_output_units", 0.6, f"{head.units} outputs for {k} classes",
                _right(task), f"Give the last layer {k} units.",
            )  # fmt: skip
    if task.kind == "binary" and task.form == "ids" and head.units > 2 and loss.kind != "other":
        yield (
            "wrong_output_units", 0.9, f"{head.units} outputs for two classes", _right(task),
            "Use one sigmoid unit, or two softmax units.",
        )  # fmt: skip
    if task.kind == "binary" and task.form == "ids" and head.units == 2 and loss.kind == "bce":
        yield (
            "wrong_output_units", 0.9, "two outputs against one 0/1 column", _right(task),
            "Use one sigmoid unit, or sparse_categorical_crossentropy.",
        )  # fmt: skip
    if task.kind in ("multilabel", "regression") and y.ndim == 2 and head.units != y.shape[1]:
        if loss.kind != "other":
            yield (
                "wrong_output_units", 0.95, f"{head.units} outputs for {y.shape[1]} targets",
                _right(task), f"Give the last layer {y.shape[1]} units.",
            )  # fmt: skip
    if task.kind == "regression" and y.ndim == 1 and head.units > 1 and loss.regresses:
        yield (
            "wrong_output_units", 0.95, f"{head.units} outputs for one target", _right(task),
            "Give the last layer one unit.",
        )  # fmt: skip


def _activation(head, loss, task, y):
    last = head.activation
    if task.kind == "regression" and not (loss.classifies and loss.from_logits):
        bounds = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf)}
        low, high = bounds.get(last, (-np.inf, np.inf))
        y = y[np.isfinite(y)]
        outside = float(((y < low - 1e-6) | (y > high + 1e-6)).mean()) if y.size else 0.0
        if last == "softmax" and head.units > 1 and not loss.classifies:
            outside = 1.0
        if outside > 0.02 and not (last == "softmax" and head.units == 1):
            yield (
                "wrong_output_activation", 0.95 if outside > 0.05 else 0.6,
                f"{last} cannot express {100 * outside:.0f} % of the targets "
                f"({task.low:.3g} to {task.high:.3g})", "a linear output",
                "Remove the activation of the last layer.",
            )  # fmt: skip
        return
    if task.kind == "regression" or loss.from_logits or loss.kind == "other":
        return
    if task.kind == "multilabel" and last == "softmax":
        yield (
            "wrong_output_activation", 1.0, "softmax for labels that are not exclusive",
            _right(task), "Change the last activation to 'sigmoid'.",
        )  # fmt: skip
    if task.kind == "multiclass" and last == "sigmoid" and head.units > 1:
        # one sigmoid per class with binary_crossentropy is one-vs-rest: it works
        weight = 0.5 if loss.kind == "bce" else 0.95 if loss.kind in ("cce", "scce") else 0.8
        yield (
            "wrong_output_activation", weight, "sigmoid for classes that exclude each other",
            _right(task), "Change the last activation to 'softmax'.",
        )  # fmt: skip
    if last in ("relu", "leaky_relu", "leakyrelu", "elu", "prelu", "gelu") or (
        last == "tanh" and task.low >= 0
    ):
        if loss.classifies and loss.kind not in ("hinge", "chinge"):
            yield (
                "wrong_output_activation", 1.0, f"{last} before a cross-entropy",
                _right(task), "Change the last activation to "
                f"{'softmax' if task.kind == 'multiclass' else 'sigmoid'!r}.",
            )  # fmt: skip
        elif loss.regresses:
            yield (
                "wrong_output_activation", 0.85, f"{last} as the output of a classifier",
                _right(task), f"Use {_right(task)}.",
            )  # fmt: skip


def _loss(head, loss, task, y):
    right = _right(task)
    if loss.kind == "cce" and head.units == 1:
        yield (
            "wrong_loss", 1.0, "categorical_crossentropy over one output is always 0", right,
            "Change the loss to 'binary_crossentropy'." if task.kind == "binary"
            else f"Use {right}.",
        )  # fmt: skip
    elif loss.kind == "scce" and head.units == 1:
        yield (
            "wrong_loss",
            1.0,
            "sparse_categorical_crossentropy over one output",
            right,
            (
                "Change the loss to 'binary_crossentropy'."
                if task.kind == "binary"
                else f"Use {right}."
            ),
        )
    elif task.kind == "regression" and loss.classifies and loss.kind != "kld":
        inside = task.low >= 0 and task.high <= 1
        if not (loss.kind == "bce" and inside):
            yield (
                "wrong_loss", 1.0, f"{loss.name} for targets that are numbers "
                f"({task.low:.3g} to {task.high:.3g})", right, "Change the loss to 'mse'.",
            )  # fmt: skip
    elif task.kind == "multilabel" and loss.kind in ("cce", "chinge"):
        yield (
            "wrong_loss", 1.0, f"{loss.name} for labels that are not exclusive", right,
            "Change the loss to 'binary_crossentropy'.",
        )  # fmt: skip
    elif task.kind == "multiclass" and loss.kind == "bce":
        if "sigmoid" in head.activations and task.form == "onehot":
            weight = 0.5
        elif head.units == 1:
            weight = 0.9
        else:
            weight = 0.9 if task.classes > 2 else 0.3
        yield (
            "wrong_loss", weight, f"binary_crossentropy for {task.classes} exclusive classes",
            right, "Change the loss to a categorical cross-entropy.",
        )  # fmt: skip
    elif task.kind in ("binary", "multiclass", "multilabel") and loss.regresses:
        tiny = len(y) <= 32
        weight = 0.4 if tiny or task.kind == "multilabel" else 0.75
        if task.kind == "multiclass":
            weight = 0.9
        if loss.kind in ("mape", "msle", "mae"):
            weight = max(weight, 0.85)
        yield (
            "wrong_loss", weight, f"{loss.name} for classes", right,
            "Change the loss to a cross-entropy.",
        )  # fmt: skip
    elif loss.kind == "mape" and task.kind == "regression" and np.mean(np.abs(y) < 1e-3) > 0.02:
        yield (
            "wrong_loss", 0.9, "a percentage error of targets that are (nearly) zero", right,
            "Change the loss to 'mse' or 'mae'.",
        )  # fmt: skip
    elif loss.kind == "msle" and task.kind == "regression" and task.low < 0:
        yield (
            "wrong_loss", 0.95, "a logarithmic error of negative targets", right,
            "Change the loss to 'mse'.",
        )  # fmt: skip
    elif loss.kind == "cosine" and head.units == 1:
        yield (
            "wrong_loss", 1.0, "cosine similarity of single numbers is only their sign", right,
            f"Use {right}.",
        )  # fmt: skip
    elif loss.kind == "hinge" and task.kind == "multiclass":
        yield "wrong_loss", 0.9, "a binary hinge for several classes", right, f"Use {right}."


def _logits(head, loss, task, y):
    if loss.kind not in ("bce", "cce", "scce") or task.kind == "regression":
        return
    squashes = [a for a in head.activations if a in ("softmax", "sigmoid")]
    outside = head.low < -0.01 or head.high > 1.01
    known = head.activation in ("softmax", "sigmoid", "relu", "tanh", "leaky_relu")
    bare = not head.activations and head.seen
    if (bare or (outside and not known)) and not loss.from_logits and head.units > 0:
        yield (
            "loss_activation_mismatch", 1.0, f"raw scores into {loss.name}, which wants "
            "probabilities", _right(task),
            "Add the activation to the last layer, or from_logits=True to the loss.",
        )  # fmt: skip
    if len(squashes) >= 2 and head.units > 1:
        yield (
            "loss_activation_mismatch", 1.0, f"squashed twice: {' of '.join(squashes)}",
            "one softmax or sigmoid", "Remove one of the two activations.",
        )  # fmt: skip
    elif len(squashes) >= 2:
        yield (
            "loss_activation_mismatch", 0.95, f"squashed twice: {' of '.join(squashes)}",
            "one sigmoid", "Remove one of the two activations.",
        )  # fmt: skip
