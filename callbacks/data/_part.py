"""What part of the data was looked at, and which labels went by."""

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
    """The labels of all rows that go by, not only of those kept.

    Whole numbers in one column, or the columns of one-hot rows; `values` is None for anything else.
    """

    def __init__(self) -> None:
        self.rows = 0  # that went by
        self._seen: set[float] | None = set()

    def add(self, y: np.ndarray) -> None:
        """Look at a batch of targets (n, ...)."""
        self.rows += len(y)
        if self._seen is None or not len(y):
            return
        labels = _labels(y)
        self._seen = None if labels is None else self._seen | set(labels.tolist())
        if self._seen is not None and len(self._seen) > MOST_KINDS:
            self._seen = None

    @property
    def values(self) -> np.ndarray | None:
        """The distinct labels, ascending; columns of one-hot rows that occur."""
        return np.array(sorted(self._seen)) if self._seen else None


def _labels(y: np.ndarray) -> np.ndarray | None:
    """The distinct labels of a batch, or None where the targets are none."""
    if y.dtype.kind not in "biuf" or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()
        return np.flatnonzero(y.any(0)) if one_hot else None
    values = np.unique(y)
    return values if np.array_equal(values, np.round(values)) else None  # NaN too: no labels
