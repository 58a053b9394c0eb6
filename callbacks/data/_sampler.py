"""The one bounded sampler: rows of a stream of any length, drawn evenly, in bounded memory."""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data._part import Census, Part
from kcnn.callbacks.data._rows import Rows, array_leaf, arrays_of

__all__ = ["MOST_BYTES", "MOST_ROWS", "PASSING", "READ_BATCHES", "Sampler", "capacity"]

# A trial holds the sample, its training four fifths and those scaled at once: 500 MB.
MOST_BYTES = 190e6
MOST_ROWS = 65_536  # beyond it no share among the rows is told better than to 0.2 %
PASSING = 4.0  # times that goes by for the census: a quarter of a million rows, seconds of images
READ_BATCHES = 1_000  # ten seconds of a pipeline of 100 batches a second


def capacity(*nests: Any, share: float = 1.0) -> int:
    """How many rows like these are kept: `share` of the bounds.

    Integers count as the float32 that training makes of them.
    """
    leaves = [leaf for leaf in keras.tree.flatten(list(nests)) if leaf is not None]
    size = sum(int(np.prod(leaf.shape[1:])) * max(4, leaf.dtype.itemsize) for leaf in leaves)
    return max(1, int(min(MOST_ROWS, MOST_BYTES // max(size, 1)) * share))


class Sampler:
    """Keeps rows of the batches it is given: all, until there are too many, then an even draw.

    Every row that goes by has the same chance to be kept (reservoir sampling); those kept stand
    in the order in which they came. Batches of other lengths (padded texts) are padded with
    zeros to the longest.

    Args:
        share: Share of the bounds; less for validation data.
        passing: How many times what is kept may go by, in rows and bytes.
        seed: Seed of the draw.
    """

    def __init__(self, *, share: float = 1.0, passing: float = PASSING, seed: int = 0):
        self.share, self.passing = share, passing * share
        self.sizes: list[int] = []
        self.passed = 0
        self.read_bytes = 0.0
        self.census: Any = None
        self._rng = np.random.default_rng(seed)
        self._kept: list[np.ndarray] = []
        self._like: Any = None
        self._capacity = 0
        self._places = np.zeros(0, "int64")

    @property
    def enough(self) -> bool:
        """True when no more batches should be read."""
        return (
            len(self.sizes) >= READ_BATCHES
            or self.passed >= MOST_ROWS * self.passing
            or self.read_bytes >= MOST_BYTES * self.passing
        )

    def add(self, batch: Any) -> None:
        """One batch as `fit` gets it: x, (x, y) or (x, y, sample_weight)."""
        x, y, weight = (arrays_of(part) for part in keras.utils.unpack_x_y_sample_weight(batch))
        nest = {"x": x, "y": y, "weight": weight}
        leaves = [array_leaf(leaf) for leaf in keras.tree.flatten(nest)]
        leaves = [leaf for leaf in leaves if leaf is not None]
        count = len(leaves[0])
        if self._like is None:
            self._begin(nest, leaves)
        elif len(leaves) != len(self._kept):
            raise ValueError(f"a batch of {len(leaves)} parts came after one of {len(self._kept)}.")
        for census, leaf in zip(
            keras.tree.flatten(self.census), keras.tree.flatten(y), strict=True
        ):
            if census is not None:
                census.add(leaf)
        slots, rows = self._slots(count)
        for at, leaf in enumerate(leaves):
            self._put(at, leaf, slots, rows)
        self.sizes.append(count)
        self.passed += count
        self.read_bytes += sum(leaf.nbytes for leaf in leaves)

    def rows(self) -> Rows:
        """The rows kept, in the order in which they came."""
        if self._like is None:
            return Rows(np.zeros((0,)), np.zeros((0,)))
        kept = len(self._places)
        order = np.argsort(self._places, kind="stable")
        for leaf in self._kept:
            _reorder(leaf, order)
        self._places = self._places[order]
        leaves = iter([leaf[:kept] for leaf in self._kept])
        nest = keras.tree.map_structure(lambda v: None if v is None else next(leaves), self._like)
        return Rows(nest["x"], nest["y"], nest["weight"])

    def part(self, total: int | None, *, exact: bool) -> Part:
        """The record of what was seen of `total` rows."""
        return Part(len(self._places), self.passed, total, exact)

    def _begin(self, nest: Any, leaves: list[np.ndarray]) -> None:
        self._like = keras.tree.map_structure(lambda v: None if v is None else True, nest)
        self._capacity = capacity(*leaves, share=self.share)
        # The system gives memory to the pages that are written, not to the whole.
        self._kept = [np.zeros((self._capacity, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
        self.census = keras.tree.map_structure(lambda v: None if v is None else Census(), nest["y"])

    def _slots(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Where which rows of a batch are kept: the next free places, then drawn ones."""
        free = min(max(self._capacity - len(self._places), 0), count)
        slots = len(self._places) + np.arange(free)
        rows = np.arange(free)
        self._places = np.concatenate([self._places, self.passed + rows])
        late = np.arange(free, count)
        drawn = self._rng.integers(0, self.passed + late + 1)
        hit = drawn < self._capacity
        # The last row that falls on a place stays there.
        last = {int(slot): int(row) for slot, row in zip(drawn[hit], late[hit], strict=True)}
        if last:
            more, which = np.array(list(last)), np.array(list(last.values()))
            self._places[more] = self.passed + which
            slots, rows = np.concatenate([slots, more]), np.concatenate([rows, which])
        return slots, rows

    def _put(self, at: int, leaf: np.ndarray, slots: np.ndarray, rows: np.ndarray) -> None:
        held = self._kept[at]
        shape = tuple(np.maximum(held.shape[1:], leaf.shape[1:]))
        if shape != held.shape[1:]:
            larger = np.zeros((self._capacity, *shape), held.dtype)
            larger[tuple(slice(n) for n in held.shape)] = held
            self._kept[at] = held = larger
        if len(slots):
            if leaf.shape[1:] != shape:
                held[slots] = 0
            place: Any = (slots, *(slice(n) for n in leaf.shape[1:]))
            held[place] = leaf[rows]


def _reorder(rows: np.ndarray, order: np.ndarray) -> None:
    """Row `order[i]` to place `i`, in place: a second copy would double the memory."""
    todo = order != np.arange(len(order))
    for start in np.flatnonzero(todo):
        if not todo[start]:
            continue
        first, at = rows[start].copy(), int(start)
        while todo[at]:
            todo[at] = False
            source = int(order[at])
            rows[at] = first if source == start else rows[source]
            at = source
