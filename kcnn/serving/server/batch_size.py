"""How large a batch may be: learned from how long batches took."""

from __future__ import annotations

__all__ = ["BatchSize"]

# Sizes are judged by powers of two: enough to find the best one within a few per cent.
FIRST = 8  # rows; a large network must not answer its first clients after seconds
MARGIN = 0.97  # a smaller batch wins unless a larger one answers 3 % more images a second
EXPLORE_EVERY = 64  # batches; then one of the next larger size is allowed, to notice a change
SMOOTH = 0.2  # weight of the newest batch: five batches make half of the estimate


class BatchSize:
    """The largest batch worth running, up to `limit`, for one graph and image size.

    Small graphs gain from large batches (a call costs the same for one image as for ten);
    large ones lose once a batch no longer fits the processor's caches.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.best = min(limit, FIRST)
        self._row_s: dict[int, float] = {}  # bucket -> seconds per row
        self._count = 0

    def next(self) -> int:
        """The most rows that the next batch may have."""
        self._count += 1
        if self._count % EXPLORE_EVERY == 0:
            return min(self.limit, 2 * self.best)
        return self.best

    def learn(self, rows: int, seconds: float) -> None:
        """Note that a batch of `rows` took `seconds`."""
        bucket = 1 << (rows.bit_length() - 1)
        per_row = seconds / rows
        seen = self._row_s.get(bucket)
        self._row_s[bucket] = per_row if seen is None else seen + SMOOTH * (per_row - seen)
        best, fastest = 1, float("inf")
        for size in sorted(self._row_s):
            if self._row_s[size] < MARGIN * fastest:
                best, fastest = size, self._row_s[size]
        largest = max(self._row_s)
        # As long as the largest size seen is the best one, twice as many may be better.
        self.best = min(self.limit, 2 * best if best == largest else 2 * best - 1)

    def seconds(self, rows: int) -> float:
        """What a batch of so many rows is expected to take; 0 where nothing is known."""
        if not self._row_s:
            return 0.0
        nearest = min(self._row_s, key=lambda size: abs(size - rows))
        return self._row_s[nearest] * rows
