"""How well predictions fit: 0 for the best constant answer, 1 for perfection."""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.doctor.program.head import HeadFacts
from kcnn.callbacks.doctor.program.loss import LossFacts
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["balanced_skill", "classes_of", "loss_skill", "skill"]


def classes_of(out: np.ndarray, head: HeadFacts, loss: LossFacts) -> np.ndarray:
    """Predicted class of each row."""
    out = out.reshape(len(out), -1)
    if out.shape[1] > 1:
        return out.argmax(1)
    raw = head.activation not in ("sigmoid", "softmax") and (loss.from_logits)
    cut = 0.0 if raw or head.activation == "tanh" or loss.kind == "hinge" or loss.margin else 0.5
    return (out[:, 0] > cut).astype(int)


def skill(out: Any, y: Any, task: TaskFacts, head: HeadFacts, loss: LossFacts) -> float:
    """Skill of predictions `out` (n, ...) for targets `y` (n, ...), -1..1.

    Classes: errors avoided of those the majority class makes, mixed (0.3) with the
    cross-entropy avoided. Several labels: the same over all of them. Numbers: R squared,
    targets clipped to their middle 98 %; of images and the like over all columns at once.
    """
    if not np.isfinite(out).all():
        return -1.0
    if task.exclusive:
        return _class_skill(out, np.asarray(task.classes_of(y)), task, head, loss)
    if task.kind == "multilabel" and out.shape == y.shape:
        raw = loss.from_logits and "sigmoid" not in head.activations
        said = out > (0.0 if raw or head.activation == "tanh" else 0.5)
        true = y > 0.5 * (task.low + task.high)
        rate = true.mean(0)
        base = np.minimum(rate, 1 - rate).mean()
        return float(np.clip(1 - (said != true).mean() / max(base, 1e-6), -1, 1))
    places = out.shape[1:-1]
    if task.kind == "other" and y.shape[1:] in (places, (*places, 1)) and out.shape[-1] > 1:
        ids, said = y.reshape(-1).astype(int), out.reshape(-1, out.shape[-1]).argmax(-1)
        base = 1 - np.bincount(ids).max() / len(ids)
        return float(np.clip(1 - (said != ids).mean() / max(base, 1e-6), -1, 1))
    truth = np.asarray(y, "float64").reshape(len(y), -1)
    said = np.asarray(out, "float64").reshape(len(out), -1)
    if truth.shape[1] != said.shape[1]:
        if truth.shape[1] != 1 or loss.kind == "other":
            return float("nan")
        said = said.mean(1, keepdims=True)
    low, high = np.percentile(truth, [1, 99], axis=0)
    truth, said = np.clip(truth, low, high), np.clip(said, low - (high - low), high + (high - low))
    var = truth.var(0)
    alive = var > 1e-12
    if not alive.any():
        return float("nan")  # targets that are all alike tell no skill
    left = ((truth - said) ** 2).mean(0)[alive]
    if truth.shape[1] >= 16:  # pixels: those that hardly ever change do not count like others
        return float(np.clip(1 - left.sum() / var[alive].sum(), -1, 1))
    return float(np.clip((1 - left / var[alive]).mean(), -1, 1))


def _class_skill(out, labels, task, head, loss):
    said = classes_of(out, head, loss)
    shares = np.bincount(labels, minlength=task.classes) / max(len(labels), 1)
    base = 1 - shares.max()
    if base <= 0:
        return float((said == labels).mean())
    hard = 1 - (said != labels).mean() / base
    rows = out.reshape(len(out), -1)
    probabilities = _probabilities(rows, head, loss)
    if probabilities is None or probabilities.shape[1] <= labels.max():
        return float(np.clip(hard, -1, 1))
    own = np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1)
    prior = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    soft = np.clip(1 + np.log(own).mean() / prior, 0, 1)
    return float(np.clip(0.7 * hard + 0.3 * soft, -1, 1))


def _probabilities(rows, head, loss):
    if loss.from_logits and not head.activations:
        if rows.shape[1] == 1:
            p = 1 / (1 + np.exp(-np.clip(rows, -60, 60)))
            return np.concatenate([1 - p, p], 1)
        return keras.ops.convert_to_numpy(keras.ops.softmax(rows.astype("float32")))
    if head.activation not in ("sigmoid", "softmax"):
        return None
    if rows.shape[1] == 1:
        return np.concatenate([1 - rows, rows], 1)
    return rows / np.maximum(rows.sum(1, keepdims=True), 1e-9)


def balanced_skill(said: np.ndarray, labels: np.ndarray) -> float:
    """Mean recall of the classes, 0 for a constant answer, 1 for perfection."""
    present = np.unique(labels)
    if len(present) < 2:
        return 1.0
    recall = np.mean([(said[labels == k] == k).mean() for k in present])
    return float((recall - 1 / len(present)) / (1 - 1 / len(present)))


def loss_skill(loss: Any, out: np.ndarray, y: np.ndarray) -> float:
    """Share of the user's own loss avoided, of that of the best constant; -1 where unknown.

    A quantile or another skewed loss does not want the mean, so R squared is not its measure.
    """

    def value(said):
        said = keras.ops.convert_to_tensor(said.astype("float32"))
        return float(np.mean(keras.ops.convert_to_numpy(measure(truth, said))))

    try:
        measure = keras.losses.get(keras.tree.flatten(loss)[0])
        truth = keras.ops.convert_to_tensor(np.asarray(y, "float32").reshape(out.shape))
        levels = np.quantile(np.asarray(y, "float64"), np.linspace(0, 1, 21))
        constant = min(value(np.full(out.shape, level)) for level in levels)
        own = value(np.asarray(out))
    except Exception:  # a loss that wants more than numbers
        return -1.0
    if not np.isfinite([constant, own]).all() or constant <= 0 or own < 0:
        return -1.0
    return float(np.clip(1 - own / constant, -1, 1))
