"""The rows of trials: which train, which judge, how they are scaled and weighted."""

import dataclasses
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor.interventions import Intervention

__all__ = [
    "TrialData", "aligned", "class_weights", "scaled", "scaled_inputs", "split_rows", "unscaled",
]  # fmt: skip

FEWEST, MOST = 300, 2000  # rows that a skill is measured on: 300 tell 0.1 of skill from none
HELD_OUT = 5  # one row in so many judges, where the user has no validation rows
ENOUGH = 80  # rows of which some can be held out
VALIDATION = 10  # validation rows that can judge


@dataclasses.dataclass
class TrialData:
    """Rows that train, that judge (or None), and training rows that are looked at.

    `held_out` says that the judging rows were taken from the training rows; `numbers` are the
    places of targets that are numbers among all of them, by the place of their output.
    """

    train: Rows
    val: Rows | None
    look: Rows
    held_out: bool = False
    numbers: dict[int, int] = dataclasses.field(default_factory=dict)
    moments: dict[bool, list[Any]] = dataclasses.field(default_factory=dict)


def split_rows(context: Any, steps: int, own_validation: bool = True) -> TrialData:
    """The user's validation rows judge, or a fifth of the training rows held out."""
    case = context.case
    train, val, held_out = case.train, None, False
    if own_validation and case.val is not None and case.val.n >= VALIDATION:
        val = case.val
    elif case.train.n >= ENOUGH:
        held_out = True
        order = np.random.default_rng(7).permutation(case.train.n)
        cut = case.train.n // HELD_OUT
        val, train = case.train.take(order[:cut]), case.train.take(np.sort(order[cut:]))
    most = int(np.clip(steps * case.batch_size / 8, FEWEST, MOST))
    look = train.take(np.random.default_rng(3).permutation(train.n)[:most])
    if val is not None and val.n > most:
        val = val.take(np.random.default_rng(4).permutation(val.n)[:most])
    outputs = [one for one in context.outputs if one.task.kind == "regression" and not one.places]
    numbers = {one.place: one.target for one in outputs}
    return TrialData(train, val, look, held_out, numbers)


def scaled(data: TrialData, change: Intervention) -> Rows:
    """Training rows under a change."""
    x, y = scaled_inputs(data, data.train.x, change), data.train.y
    if change.scale_y:
        leaves = keras.tree.flatten(y)
        for at in data.numbers.values():
            mean, std = _target_moments(leaves[at])
            leaves[at] = ((leaves[at] - mean) / std).astype("float32")
        y = keras.tree.pack_sequence_as(y, leaves)
    return Rows(x, y)


def unscaled(data: TrialData, change: Intervention, out: Any) -> Any:
    """Predictions in the units of the targets."""
    if not change.scale_y:
        return out
    leaves, targets = keras.tree.flatten(out), keras.tree.flatten(data.train.y)
    for place, at in data.numbers.items():
        mean, std = _target_moments(targets[at])
        leaves[place] = leaves[place] * std.reshape(-1)[: leaves[place].shape[-1]] + mean
    return keras.tree.pack_sequence_as(out, leaves)


def _target_moments(target: np.ndarray) -> tuple[Any, Any]:
    values = np.asarray(target, "float64")
    return values.mean(0), values.std(0) + 1e-12


def scaled_inputs(data: TrialData, x: Any, change: Intervention) -> Any:
    """Inputs with mean 0 and spread 1, or between 0 and 1, as the training rows say."""
    if not (change.scale_x or change.unit_x):
        return x
    measure = _span if change.unit_x else _moments
    if change.unit_x not in data.moments:
        leaves = keras.tree.flatten(data.train.x)
        data.moments[change.unit_x] = [
            measure(leaf) if leaf.dtype.kind in "fiu" else None for leaf in leaves
        ]
    leaves = [
        leaf if many is None else ((np.nan_to_num(leaf) - many[0]) / many[1]).astype("float32")
        for leaf, many in zip(keras.tree.flatten(x), data.moments[change.unit_x], strict=True)
    ]
    return keras.tree.pack_sequence_as(x, leaves)


def aligned(rows: Rows, train: Rows) -> Rows:
    """Rows whose inputs, one array, have mean and deviation of the training inputs."""
    (mean, std), (goal, spread) = _moments(rows.x), _moments(train.x)
    return Rows(((rows.x - mean) / std * spread + goal).astype("float32"), rows.y, rows.weight)


def _span(leaf: np.ndarray) -> tuple[float, float]:
    """Smallest value, and how far the largest lies above it."""
    values = np.nan_to_num(leaf)
    return float(values.min()), float(np.ptp(values)) or 1.0


def _moments(leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per column, or per channel of images."""
    values = np.nan_to_num(np.asarray(leaf, "float64"))
    axes = tuple(range(values.ndim - 1)) if values.ndim >= 4 else 0
    mean, std = values.mean(axes), values.std(axes)
    return mean, np.where(std < 1e-9, 1.0, std)


def class_weights(context: Any, data: TrialData, change: Intervention) -> np.ndarray | None:
    """A weight for each training row: the user's, or every class alike; None for none."""
    rows, case = data.train, context.case
    ids = None if context.task is None else context.task.classes_of(rows.y)
    if ids is None or rows.weight is not None:
        return rows.weight
    if case.class_weight:
        given = rows.y.reshape(-1) if context.task.form == "ids" else ids
        kinds, place = np.unique(given, return_inverse=True)
        return np.asarray([case.class_weight.get(int(k), 1.0) for k in kinds], "float32")[place]
    if change.balance:
        counts = np.bincount(ids)
        even = len(ids) / (int((counts > 0).sum()) * np.maximum(counts, 1))
        return even[ids].astype("float32")
    return None
