"""What the targets are: classes, several labels at once, or numbers."""

# ruff: noqa: SIM102 - a condition inside another reads as the argument it makes
import dataclasses

import numpy as np

from kcnn.callbacks.doctor.program.loss import LossFacts

__all__ = ["TaskFacts", "read_task"]

MOST = 100  # distinct whole numbers that several outputs or an accuracy make classes
NUMBERED, EVEN = 20, 4  # classes 0..k-1 under a loss of numbers; largest over smallest of them
IDS, SCATTERED = 10, 0.5  # ids with gaps: fewer may be a list of prices; share of places taken
GROWING = 0.7  # correlation of the steps' order with the numbers' own; ids have none
ROUNDED = 1e-3  # how far from 0, 1 and a sum of 1 shares may lie that were mixed in half precision
OFTEN, UNEVEN = 2, 6  # rows of the rarest id; of the commonest, in those of the middle one


@dataclasses.dataclass(frozen=True)
class TaskFacts:
    """The task that the targets show.

    Args:
        kind: `"binary"`, `"multiclass"`, `"multilabel"`, `"regression"` or `"other"`.
        form: `"ids"` (one integer a row), `"onehot"`, `"bits"` or `"numbers"`.
        classes: Number of classes that occur (binary: 2), of labels, or of target columns.
        values: The distinct values: all of classes, else the first 64.
        whole: True when every target is a whole number.
    """

    kind: str
    form: str
    classes: int
    values: np.ndarray
    whole: bool
    low: float
    high: float
    scaled: float = 1.0
    placed: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether each row belongs to one class."""
        return self.kind in ("binary", "multiclass")

    def classes_of(self, y: np.ndarray) -> np.ndarray | None:
        """Class of each row (n,), or None for targets that are none.

        The given number where the outputs have a place for it, so that gaps stay; else its rank
        among those that occur.
        """
        if not self.exclusive:
            return None
        if self.form == "onehot":
            return y.argmax(1)
        column = np.nan_to_num(y.reshape(len(y), -1)[:, 0])
        if self.placed:
            return column.astype("int64")
        return np.clip(np.searchsorted(self.values, column), 0, len(self.values) - 1)


def read_task(y: np.ndarray, *, loss: LossFacts, units: int, scores: bool) -> TaskFacts:
    """Facts about targets `y` (n, ...).

    `scores` says whether the compile call speaks of classes (an accuracy among the metrics).
    """
    flat = y.reshape(len(y), -1) if y.ndim > 1 else y[:, None]
    finite = flat[np.isfinite(flat).all(1)] if flat.dtype.kind == "f" else flat
    if not len(finite):
        return TaskFacts("other", "numbers", flat.shape[1], np.array([]), False, 0, 0)
    values = np.unique(finite if flat.shape[1] == 1 else finite[:20000])
    whole = bool(np.all(values == np.round(values)))
    low, high = float(finite.min()), float(finite.max())

    placed = whole and low >= 0 and high < units  # each number has an output of its own

    def facts(kind, form, classes, scaled=1.0):
        kept = values if form == "ids" else values[:64]
        return TaskFacts(kind, form, classes, kept, whole, low, high, scaled, placed)

    if y.ndim > 2:
        return facts("other", "numbers", int(y.shape[-1]))
    if flat.shape[1] > 1:
        return _columns(flat, finite, values, facts, loss)
    column = flat[:, 0]
    few = len(values) <= max(2, min(200, len(finite) // 4))
    wants_classes = loss.classifies or scores or units > 1
    number = len(values) == 1 and loss.regresses  # one measurement, not one class
    if len(values) <= 2 and (whole or loss.classifies) and not number:
        if whole or units > 1 or loss.kind in ("bce", "scce", "cce"):
            return facts("binary", "ids", 2)
    if placed and loss.kind == "scce":
        return facts("multiclass", "ids", len(values))
    if whole and few and wants_classes:
        names = scores and _class_like(column, values)
        amounts = loss.regresses and units == 1
        if names or loss.classifies or (not amounts and len(values) <= MOST):
            return facts("multiclass", "ids", len(values))
    if loss.kind in ("scce", "cce") and len(values) <= max(100, len(finite) // 20):
        return facts("multiclass", "ids", len(values))  # scaled
    return facts("regression", "numbers", 1)


def _columns(flat, finite, values, facts, loss):
    k = flat.shape[1]
    if len(values) <= 2 and values[0] == 0:
        top = float(values[-1]) or 1.0
        counts = (finite != 0).sum(1)
        if np.all(counts == 1):
            return facts("multiclass", "onehot", k, scaled=top)
        if np.all(counts <= 1) and k > 2 and loss.kind in ("cce", "kld", "chinge"):
            return facts("multiclass", "onehot", k, scaled=0.0)  # empty rows
        if loss.regresses and top != 1.0:
            return facts("regression", "numbers", k)
        return facts("multilabel", "bits", k)
    if len(values) <= 2 and set(values) <= {-1.0, 1.0}:
        if np.all((finite > 0).sum(1) == 1) and k > 2:
            return facts("multiclass", "onehot", k)
        return facts("multilabel", "bits", k)
    inside = finite.min() >= -ROUNDED and finite.max() <= 1 + ROUNDED
    if inside and np.allclose(finite.sum(1), 1, atol=ROUNDED) and k > 1:
        return facts("multiclass", "onehot", k)  # smoothed or mixed
    top = finite.max(1, keepdims=True)
    one = (finite > 0).sum(1) == 1
    if loss.classifies and one.all() and len(values) <= 3 and np.ptp(top) == 0:
        return facts("multiclass", "onehot", k, scaled=float(top[0, 0]))
    return facts("regression", "numbers", k)


def _class_like(column: np.ndarray, values: np.ndarray) -> bool:
    """Whole numbers that are names: each often repeated, and 0..k-1 or scattered like ids.

    Amounts lie close together around their middle, in whatever unit they were rounded to; in
    lists of prices and grades the steps grow.
    """
    counts = np.unique(column, return_counts=True)[1]
    steps = np.diff(values).astype("int64")
    if len(values) >= IDS and len(steps) * np.gcd.reduce(steps) < SCATTERED * np.ptp(values):
        ranks = steps.argsort(kind="stable").argsort()
        grown = np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] > GROWING
        return bool(
            not grown and counts.min() >= OFTEN and counts.max() <= UNEVEN * np.median(counts)
        )
    numbered = len(values) <= NUMBERED and np.array_equal(values, np.arange(len(values)))
    return numbered and bool(counts.min() * EVEN >= counts.max())
