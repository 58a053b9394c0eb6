"""What part of the data was looked at, and which labels went by."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["Census", "Part"]

# A vocabulary or ImageNet-21k has fewer classes; more distinct numbers are measurements.
MOST_KINDS = 65_536


@dataclasses.dataclass(frozen=True)
class Part:
    """How much of the data an examination saw.

    Args:
        rows: Rows kept and looked at.
        passed: Rows that went by, whose labels were counted.
        total: Rows of one epoch; None where nothing tells.
        exact: Whether `total` was counted, not told from the number of batches.
    """

    rows: int
    passed: int
    total: int | None
    exact: bool

    @property
    def whole(self) -> bool:
        """True when every row of the epoch was kept."""
        return self.total is not None and self.exact and self.rows >= self.total

    @property
    def share(self) -> float:
        """Rows kept of those there are, 0..1; 1 where nothing tells."""
        return min(1.0, self.rows / self.total) if self.total else 1.0

    def __str__(self) -> str:
        if self.whole:
            return f"all {self.rows:,} rows"
        if self.total is None:
            return f"{self.rows:,} rows of a stream"
        return f"{self.rows:,} of {'' if self.exact else 'about '}{self.total:,} rows"


class Census:
    """Counts the labels of all rows that go by, not only of those kept.

    Whole numbers in one column are counted by value, one-hot rows by column.
    `values` and `counts` are None for anything else.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._counts: dict[float, int] | None = {}
        self._columns: np.ndarray | None = None

    def add(self, y: np.ndarray) -> None:
        """Count a batch of targets (n, ...)."""
        self.rows += len(y)
        if self._counts is None or not len(y):
            return
        if y.dtype.kind not in "biuf" or y.ndim > 2:
            self._counts = None
        elif y.ndim == 2 and y.shape[1] > 1:
            self._add_columns(y)
        else:
            self._add_values(y.reshape(-1))

    def _add_values(self, y: np.ndarray) -> None:
        values, counts = np.unique(y, return_counts=True)
        if not np.array_equal(values, np.round(values)):  # NaN too: no labels
            self._counts = None
            return
        assert self._counts is not None
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[value] = self._counts.get(value, 0) + count
        if len(self._counts) > MOST_KINDS:
            self._counts = None

    def _add_columns(self, y: np.ndarray) -> None:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()
        if not one_hot or (self._columns is not None and self._columns.size != y.shape[1]):
            self._counts = self._columns = None
            return
        found = np.asarray(y, "int64").sum(0)
        self._columns = found if self._columns is None else self._columns + found

    @property
    def values(self) -> np.ndarray | None:
        """The distinct labels, ascending; columns of one-hot rows that occur."""
        if self._columns is not None:
            return np.flatnonzero(self._columns)
        return np.array(sorted(self._counts)) if self._counts else None

    @property
    def counts(self) -> np.ndarray | None:
        """How often each of `values` occurs."""
        if self._columns is not None:
            return self._columns[self._columns > 0]
        if not self._counts:
            return None
        return np.array([self._counts[value] for value in sorted(self._counts)])
