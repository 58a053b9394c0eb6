"""Do near rows share labels?"""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data import Rows, even_rows, flat_rows, row_keys
from kcnn.callbacks.doctor.program.graph import flat_layers
from kcnn.callbacks.doctor.program.task import TaskFacts

__all__ = ["agreement", "contradicts", "placeless_agreement"]


def agreement(rows: Rows, task: TaskFacts, seed: int = 0):
    """Do near neighbours share labels? (z above chance, agreement 0..1, chance), or None.

    The five nearest of up to 1500 rows, in standardised and (wide data) projected columns;
    for numbers, agreement is the correlation of a target with its neighbours' mean.
    """
    pick = np.random.default_rng(seed).permutation(rows.n)[:1500]
    x = _columns(keras.tree.flatten(rows.take(pick).x)) if rows.n >= 60 else None
    if x is None:
        return None
    near = (x**2).sum(1)[:, None] + (x**2).sum(1)[None] - 2 * x @ x.T
    np.fill_diagonal(near, np.inf)
    five = np.argpartition(near, 5, axis=1)[:, :5]
    n = len(pick)
    mine = task.classes_of(rows.y[pick]) if isinstance(rows.y, np.ndarray) else None
    if mine is not None:
        rng = np.random.default_rng(seed)

        def score(own):  # mean over classes, so that a large class does not hide the others
            same = (own[five] == own[:, None]).mean(1)
            return float(np.mean([same[own == k].mean() for k in np.unique(own)]))

        share = score(mine)
        blind = np.array([score(rng.permutation(mine)) for _ in range(20)])
        z = float((share - blind.mean()) / (blind.std() + 1e-3))
        hot = (mine[:, None] == np.unique(mine)).astype("float64")
        return max(z, _linear(x, hot)), share, float(blind.mean())
    if task.kind != "regression" or not isinstance(rows.y, np.ndarray):
        return None
    y = rows.y[pick].reshape(n, -1)[:, 0].astype("float64")
    y = np.argsort(np.argsort(y)).astype("float64")
    r = float(np.corrcoef(y, y[five].mean(1))[0, 1]) if np.ptp(y) else 0.0
    return max(r * np.sqrt(n), _linear(x, y[:, None])), r, 0.0


def _columns(inputs: list[Any]) -> np.ndarray | None:
    """Inputs as columns (n, columns) in which distances can be taken; None where there are none.

    Several inputs stand side by side and count alike; ids among them have no distances.
    """
    parts = []
    for x in inputs:
        numbers = "fiu" if len(inputs) == 1 or x.ndim > 2 else "f"
        if not isinstance(x, np.ndarray) or x.dtype.kind not in numbers:
            return None
        step = int(np.ceil(np.sqrt(np.prod(x.shape[1:]) / 4096))) if x.ndim == 4 else 1
        part = np.nan_to_num(flat_rows(x[:, ::step, ::step] if step > 1 else x, len(x)))
        if x.ndim <= 2:
            part = part - part.mean(0)
            part = part / (part.std(0) + 1e-9)
        parts.append(part / (np.sqrt(part.var(0).sum()) + 1e-9) if len(inputs) > 1 else part)
    return np.concatenate(parts, 1)


def _linear(x: np.ndarray, y: np.ndarray) -> float:
    """How far above chance a linear fit on one half of the rows answers the other, in z."""
    if x.shape[1] > 400:
        x = x @ np.random.default_rng(0).normal(size=(x.shape[1], 400))
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    half = len(x) // 2
    a, b = x[:half], y[:half] - y[:half].mean(0)
    fit = np.linalg.solve(a.T @ a + 0.3 * half * np.eye(a.shape[1]), a.T @ b)
    said, true = (x[half:] @ fit).ravel(), (y[half:] - y[half:].mean(0)).ravel()
    if np.ptp(said) == 0 or np.ptp(true) == 0:
        return 0.0
    return float(np.corrcoef(said, true)[0, 1] * np.sqrt(len(x) - half))


def placeless_agreement(graph: Any, rows: Rows, task: TaskFacts) -> float:
    """How far labels agree above chance (z) where neighbours are sought by what occurs, not where.

    Texts are compared by their words, images and series by the size of their spectra.
    """
    if not rows.single:
        return 0.0
    most = slice(0, len(even_rows(rows.x, 1500)))
    x = np.asarray(rows.x[most], "float64")
    if any(isinstance(layer, keras.layers.Embedding) for layer in flat_layers(graph)):
        ids = np.abs(x.reshape(len(x), -1)).astype("int64") % 499
        what = np.stack([np.bincount(row, minlength=499) for row in ids])
    elif x.ndim >= 3:
        axes = tuple(range(1, x.ndim - 1))
        what = np.abs(np.fft.fftn(np.nan_to_num(x), axes=axes))
        if x.ndim == 4:
            what = what[:, :12, :12]
        what = what.reshape(len(x), -1)
    else:
        return 0.0
    found = agreement(Rows(what, rows.y[most]), task)
    return 0.0 if found is None else float(found[0])


def contradicts(rows: Rows, labels: np.ndarray | None) -> bool:
    """The very same inputs come again with other labels: no transform did that."""
    if labels is None or not rows.single:
        return False
    _, first, place = np.unique(row_keys(rows.x), return_index=True, return_inverse=True)
    again = len(place) - len(first)
    return again >= 20 and bool((labels != labels[first[place]]).sum() > 0.3 * again)
