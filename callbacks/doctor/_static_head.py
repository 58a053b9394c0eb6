"""Do the last activation, the loss, the labels and the number of outputs fit together?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kcnn.callbacks.doctor._static_labels import (
    judge_labels,
    judge_single_softmax,
    judge_units,
    right_head,
)
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["judge_head"]


def judge_head(
    head: HeadFacts, loss: LossFacts, task: TaskFacts, y: np.ndarray
) -> Iterator[Suspect]:
    """Contradictions between output layer, loss and targets, the gravest first."""
    if task.kind == "other" or head.rank != 2:
        return
    for judge in JUDGES:
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
            right_head(task), "Change the last activation to 'sigmoid'.",
        )  # fmt: skip
    if task.kind == "multiclass" and last == "sigmoid" and head.units > 1:
        # one sigmoid per class with binary_crossentropy is one-vs-rest: it works
        weight = 0.5 if loss.kind == "bce" else 0.95 if loss.kind in ("cce", "scce") else 0.8
        yield (
            "wrong_output_activation", weight, "sigmoid for classes that exclude each other",
            right_head(task), "Change the last activation to 'softmax'.",
        )  # fmt: skip
    if last in ("relu", "leaky_relu", "leakyrelu", "elu", "prelu", "gelu") or (
        last == "tanh" and task.low >= 0
    ):
        if loss.classifies and loss.kind not in ("hinge", "chinge"):
            yield (
                "wrong_output_activation", 1.0, f"{last} before a cross-entropy",
                right_head(task), "Change the last activation to "
                f"{'softmax' if task.kind == 'multiclass' else 'sigmoid'!r}.",
            )  # fmt: skip
        elif loss.regresses:
            yield (
                "wrong_output_activation", 0.85, f"{last} as the output of a classifier",
                right_head(task), f"Use {right_head(task)}.",
            )  # fmt: skip


def _loss(head, loss, task, y):
    right = right_head(task)
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
            weight = 0.88 if loss.kind in ("mse", "mae", "huber") and head.units > 1 else 0.9
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
            "probabilities", right_head(task),
            "Add the activation to the last layer, or from_logits=True to the loss.",
        )  # fmt: skip
    if len(squashes) >= 2 and head.units > 1:
        yield (
            "loss_activation_mismatch", 1.0, f"squashed twice: {' of '.join(squashes)}",
            "one softmax or sigmoid", "Remove one of the two activations.",
        )  # fmt: skip
    elif squashes and loss.squashes:
        yield (
            "loss_activation_mismatch", 1.0,
            f"{loss.name} squashes what the {squashes[0]} of the last layer has squashed",
            "one softmax or sigmoid", "Remove the activation of the last layer.",
        )  # fmt: skip
    elif len(squashes) >= 2:
        yield (
            "loss_activation_mismatch", 0.95, f"squashed twice: {' of '.join(squashes)}",
            "one sigmoid", "Remove one of the two activations.",
        )  # fmt: skip


JUDGES = (judge_labels, judge_single_softmax, judge_units, _activation, _loss, _logits)
