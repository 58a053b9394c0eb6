"""Training rows against validation rows, labels against their neighbours, class balance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kcnn.callbacks.doctor._rows import Case
from kcnn.callbacks.doctor._suspect import Suspect
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["judge_balance", "judge_leak", "judge_shift"]


def judge_leak(case: Case) -> Iterator[Suspect]:
    """Validation samples that stand in the training data."""
    if case.val is None or not (case.train.single and case.val.single):
        return
    train, val = case.train.x, case.val.x
    if train.shape[1:] != val.shape[1:] or len(val) < 20:
        return
    keys = [hash(row.tobytes()) for row in np.ascontiguousarray(train)]
    known = set(keys)
    inner = 1 - len(known) / len(keys)  # rows that repeat within training: coarse data
    hits = np.mean([hash(r.tobytes()) in known for r in np.ascontiguousarray(val)])
    copied = hits > 0.3 and _fine(train, len(known))  # equal rows are no coincidence there
    if (copied or hits > max(0.1, 3 * inner)) and len(known) > 50:
        yield Suspect(
            "data_leak",
            0.95,
            f"{100 * hits:.0f} % of the validation rows stand in the training data",
            "disjoint rows",
            "Split first, then copy, augment or oversample the training part alone.",
            where="validation_data" if case.val_kind == "given" else "validation_split",
            firm=True,
            check="split",
            evidence={"shared": float(hits), "repeated_within_training": inner},
        )


def _fine(x: np.ndarray, rows: int) -> bool:
    """A column of numbers so fine that (nearly) every distinct row has its own."""
    if x.ndim != 2 or x.dtype.kind != "f":
        return False
    return any(len(np.unique(column)) > 0.9 * rows for column in x[:, :64].T)


def judge_shift(case: Case, task: TaskFacts) -> Iterator[Suspect]:
    """Validation inputs that were prepared in another way than the training inputs."""
    if case.val is None or not (case.train.single and case.val.single):
        return
    a, b = _some(case.train.x, 2000), _some(case.val.x, 2000)
    if a.shape[1:] != b.shape[1:] or a.dtype.kind not in "fiu" or len(b) < 8:
        return
    a, b = a.reshape(len(a), -1).astype("float64"), b.reshape(len(b), -1).astype("float64")
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    spread = a.std(0)
    alive = spread > 1e-9 + 1e-3 * spread.max(initial=0)
    alive &= (a != np.median(a, axis=0)).mean(0) > 0.1  # words and rare flags tell nothing
    if not alive.any():
        return
    # one ratio of sizes for all columns, robust against single wild ones
    ratio = float(np.median((b.std(0)[alive] + 1e-12) / spread[alive]))
    moved = (b.mean(0) - a.mean(0))[alive] / spread[alive]
    noise = np.sqrt(1 / len(a) + 1 / len(b))
    shift = float(np.sqrt(np.median(moved**2)))
    typical = float(np.sqrt((moved**2).mean()))
    weight = 0.0
    if (ratio > 4 or ratio < 0.25) and len(b) >= 20:
        weight = 0.97
    elif shift > max(0.8, 6 * noise):
        weight = 0.65  # a later stretch of a series may well lie elsewhere
    elif ratio > 1.7 or ratio < 0.6 or typical > max(0.35, 4 * noise):
        weight = 0.6
    if weight and case.moving and ratio < 4:
        weight = min(weight, 0.5)  # random transforms shift the training inputs by themselves
    if weight and case.val_kind == "split":
        weight = min(weight, 0.6)  # the same array: prepared alike
    if weight:
        yield Suspect(
            "preprocessing_mismatch",
            weight,
            f"validation inputs differ: spread {ratio:.3g} times that of training, mean moved "
            f"by {typical:.2f} spreads",
            "training and validation inputs prepared alike",
            "Apply the very same scaling (fitted on training data) to x_val.",
            where="validation_data",
            firm=weight >= 0.9,
            check="split",
            evidence={"spread_ratio": ratio, "shift": typical},
        )


def judge_balance(case: Case, task: TaskFacts) -> Iterator[Suspect]:
    """A majority class that explains the score."""
    if task.labels is None or case.class_weight or case.train.weight is not None:
        return
    counts = np.bincount(task.labels[: case.train.n], minlength=task.classes)
    counts = counts[counts > 0]
    if len(counts) < 2 or counts.sum() < 40:
        return
    top, low = counts.max() / counts.sum(), counts.max() / counts.min()
    even = 1 / len(counts)
    if top > even + 0.6 * (1 - even) or low >= 8:
        yield Suspect(
            "class_imbalance",
            0.75 if top > 0.85 else 0.5,
            f"the largest class holds {100 * top:.0f} % of the samples, {low:.0f} times the "
            "smallest",
            "every class predicted",
            "Pass class_weight={...} to fit, or sample the classes evenly.",
            where="fit(class_weight=...)",
            check="data",
            evidence={"majority": float(top), "ratio": float(low)},
        )


def _some(x: np.ndarray, most: int) -> np.ndarray:
    return x if len(x) <= most else x[:: len(x) // most][:most]
