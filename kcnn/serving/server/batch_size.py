"""How large a batch may be: learned from how long batches took."""

from __future__ import annotations

__all__ = ["BatchSize"]

# Sizes are judged by powers of two: enough to find the best one within a few per cent.
MARGIN = 0.97  # a smaller batch wins unless a larger one answers 3 % more images a second
EXPLORE_EVERY = 32  # batches; then one of a neighbouring size is allowed, to notice a change
SMOOTH = 0.2  # weight of a batch that was slower than those before


class BatchSize:
    """The largest batch worth running, up to `limit`, for one graph and image size.

    Small graphs gain from large batches (a call costs the same for one image as for ten);
    large ones lose once a batch no longer fits the processor's caches. So it starts with one
    image and doubles for as long as that answers more images a second.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.best = 1
        self._row_s: dict[int, float] = {}  # power of two -> seconds per row
        self._prepared: set[int] = set()  # rows of batches that ran before
        self._count = 0

    def next(self) -> int:
        """The most rows that the next batch may have."""
        self._count += 1
        if self._count % EXPLORE_EVERY:
            return self.best
        larger = self._count // EXPLORE_EVERY % 2
        return min(self.limit, 2 * self.best) if larger else max(1, self.best // 2)

    def learn(self, rows: int, seconds: float) -> None:
        """Note that a batch of `rows` took `seconds` of all cores; the first one does not count.

        The runtime prepares its kernels for each number of rows when it first meets it.
        """
        if rows not in self._prepared:
            self._prepared.add(rows)
            return
        power = 1 << (rows.bit_length() - 1)
        per_row = seconds / rows
        seen = self._row_s.get(power, per_row)
        # Down at once and up slowly: what disturbs a batch only ever makes it slower.
        self._row_s[power] = min(per_row, seen + SMOOTH * (per_row - seen))
        best, fastest = 1, float("inf")
        for size in sorted(self._row_s):
            if self._row_s[size] < MARGIN * fastest:
                best, fastest = size, self._row_s[size]
        # As long as the largest size seen is the best one, twice as many may be better.
        self.best = min(self.limit, 2 * best if best == max(self._row_s) else best)

    def seconds(self, rows: int) -> float:
        """What a batch of so many rows is expected to take; 0 where nothing is known."""
        if not self._row_s:
            return 0.0
        nearest = min(self._row_s, key=lambda size: abs(size - rows))
        return self._row_s[nearest] * rows
