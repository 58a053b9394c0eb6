"""Any data that `fit` takes, cut into numbered batches that can be shown again."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data._rows import Rows, array_leaf
from kcnn.callbacks.data._sampler import Sampler

__all__ = ["Feed", "feed_of", "inputs_of", "one_batch"]

KEEP_BYTES = 512 * 2**20  # batches kept in memory so that every probe sees the same ones


class Feed:
    """Batches 0, 1, 2, ... of a data source.

    Attributes:
        repeated: True if the data have fewer batches than were asked for.
    """

    repeated = False

    def part(self, start: int, stop: int) -> dict[str, Any]:
        """Arguments for `fit` that show batches `start` to `stop` (exclusive) once."""
        raise NotImplementedError

    def batches(self, count: int) -> Iterator[Any]:
        """The first `count` batches: each inputs, or a tuple that starts with them."""
        raise NotImplementedError


def feed_of(
    x: Any, y: Any = None, *, batch_size: int | None = None, batches: int = 100, seed: int = 0
) -> Feed:
    """A feed with the same batches for every probe that asks.

    Arrays are shuffled once by `seed`. Other data are read once and kept while their
    batches fit in `KEEP_BYTES`; a larger dataset is read anew by each probe.

    Args:
        x: Arrays (or dicts and tuples of them), `tf.data.Dataset`, `PyDataset`, PyTorch
            `DataLoader`, generator or iterable of `(x, y)` or `(x, y, sample_weight)`.
        y: Targets, with arrays only.
        batch_size: With arrays only; 32 if None, as in `fit`.
        batches: How many different batches are needed at most.
        seed: Order of the arrays' rows.

    Raises:
        ValueError: no data, parts of different length, or `y` beside a dataset.
    """
    if are_arrays(x):
        return ArrayFeed(x, y, batch_size or 32, batches, seed)
    if y is not None:
        raise ValueError(
            f"y goes with arrays; x is a {type(x).__name__}, which has to yield (x, y) itself."
        )
    return DatasetFeed(x, batches) if is_dataset(x) else ListFeed(x, batches)


def one_batch(x: Any, y: Any = None, *, rows: int, seed: int = 0) -> tuple[Feed, Any]:
    """A feed that shows one batch of `rows` rows again and again, and that batch.

    Arrays: rows drawn by `seed`, class after class in turn where `y` tells them. Anything
    else: its first rows.
    """
    if is_dataset(x):
        small = x.unbatch().take(rows).batch(rows).cache()
        batches = list(small)  # to its end, or the cache stays empty and a shuffle draws anew
        if not batches:
            raise ValueError("the dataset yields no rows.")
        feed: Feed = DatasetFeed.__new__(DatasetFeed)
        feed.__dict__.update(dataset=small.repeat(), kept=False)
        return feed, keras.tree.map_structure(array_leaf, batches[0])
    if not are_arrays(x):
        batch = _first_rows(x, rows)
        return ListFeed([batch], 1), batch
    whole = _rows_of(x, y)
    batch = _parts(whole.take(_classes_in_turn(whole, seed)[:rows]))
    return ListFeed([batch], 1), batch


def _first_rows(x: Any, rows: int) -> tuple[Any, ...]:
    """The first rows of batches that come one by one."""
    sampler = Sampler()
    for batch in _each(x):
        sampler.add(batch)
        if sampler.passed >= rows:
            break
    if not sampler.passed:
        raise ValueError(f"{type(x).__name__} yields no rows.")
    return _parts(sampler.rows().take(slice(0, rows)))


def _parts(rows: Rows) -> tuple[Any, ...]:
    """Rows as a batch: x, (x, y) or (x, y, weight)."""
    return tuple(part for part in (rows.x, rows.y, rows.weight) if part is not None)


def _each(source: Any) -> Iterator[Any]:
    """The batches of something indexed or iterable."""
    indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    if isinstance(source, (str, bytes)) or not (indexed or hasattr(source, "__iter__")):
        raise ValueError(
            "x must be arrays, a tf.data.Dataset, a PyDataset or something that yields batches; "
            f"received {source!r}."
        )
    return (source[i] for i in range(len(source))) if indexed else iter(source)


class ArrayFeed(Feed):
    """Rows of arrays in one shuffled order; only whole batches."""

    def __init__(self, x: Any, y: Any, batch_size: int, batches: int, seed: int):
        self.rows = _rows_of(x, y)
        rows = self.rows.n
        self.batch_size = min(batch_size, rows)
        whole = rows // self.batch_size * self.batch_size
        wanted = batches * self.batch_size
        self.repeated = wanted > whole
        rng = np.random.default_rng(seed)
        passes = [rng.permutation(rows)[:whole] for _ in range(-(-wanted // whole))]
        self.order = np.concatenate(passes)[:wanted]

    def part(self, start, stop):
        shown = self.rows.take(self.order[start * self.batch_size : stop * self.batch_size])
        return {"x": shown.x, "y": shown.y, "batch_size": self.batch_size, "shuffle": False}

    def batches(self, count):
        for i in range(min(count, len(self.order) // self.batch_size)):
            shown = self.part(i, i + 1)
            yield shown["x"], shown["y"]


class DatasetFeed(Feed):
    """A `tf.data.Dataset`, in memory if small; handed to `fit` as a dataset (no new trace)."""

    def __init__(self, dataset: Any, batches: int):
        self.repeated = 0 <= int(dataset.cardinality()) < batches
        self.dataset = dataset.repeat().take(batches)
        cached = self.dataset.cache()
        # One pass, read whole: a half-read cache is thrown away, and a second pass would find
        # the random numbers of an augmentation moved on by what the first has read ahead.
        self.kept: bool | None = None
        for batch in cached:
            if self.kept is None:
                size = sum(np.asarray(part).nbytes for part in keras.tree.flatten(batch))
                self.kept = size * batches <= KEEP_BYTES
            if not self.kept:
                break
        if self.kept is None:
            raise ValueError("the dataset yields no batch.")
        if self.kept:
            self.dataset = cached

    def part(self, start, stop):
        dataset = self.dataset.skip(start) if start and self.kept else self.dataset
        return {"x": dataset.take(stop - start), "shuffle": False}

    def batches(self, count):
        return iter(self.dataset.take(count))


class ListFeed(Feed):
    """Batches read from an iterable, kept in memory."""

    def __init__(self, source: Any, batches: int):
        self.held: list[Any] = []
        size = 0
        for batch in _each(source):
            held = keras.tree.map_structure(array_leaf, batch)
            self.held.append(held)
            size += sum(a.nbytes for a in keras.tree.flatten(held) if a is not None)
            if len(self.held) == batches or size >= KEEP_BYTES:
                break
        if not self.held:
            raise ValueError(f"{type(source).__name__} yields no batch.")
        self.repeated = len(self.held) < batches

    def part(self, start, stop):
        size = len(self.held)
        listed = Listed([self.held[i % size] for i in range(start, stop)])
        return {"x": listed, "shuffle": False}

    def batches(self, count):
        return iter(self.held[:count])


class Listed(keras.utils.PyDataset):
    """Kept batches, in order."""

    def __init__(self, batches: list[Any]):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        batch = self.batches[index]
        return tuple(batch) if isinstance(batch, list) else batch


def inputs_of(batch: Any) -> Any:
    """The inputs of a batch that is inputs alone or a tuple that starts with them."""
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def is_dataset(x: Any) -> bool:
    """True for a `tf.data.Dataset`, told by what it can do."""
    return all(hasattr(x, name) for name in ("take", "cache", "skip", "element_spec"))


def are_arrays(x: Any) -> bool:
    """True for an array or tensor, or a dict, list or tuple of them."""
    leaves = keras.tree.flatten(x) if isinstance(x, (dict, list, tuple)) else [x]
    if not leaves:
        raise ValueError("x is empty.")
    return all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def _rows_of(*parts: Any) -> Rows:
    """x and y as arrays of as many rows."""
    rows = Rows(*(p if p is None else keras.tree.map_structure(array_leaf, p) for p in parts))
    sizes = {len(a) for a in keras.tree.flatten([rows.x, rows.y]) if a is not None}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            f"x and y must have the same number of rows, 1 or more; received {sorted(sizes)}."
        )
    return rows


def _classes_in_turn(whole: Rows, seed: int) -> np.ndarray:
    """Row numbers, shuffled, one of each class before the second of any."""
    rows, y = whole.n, whole.y
    order = np.random.default_rng(seed).permutation(rows)
    if not isinstance(y, np.ndarray):
        return order
    labels = y.argmax(-1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(rows, -1)[:, 0]
    labels = labels[order]
    rank = np.zeros(rows, "int64")
    for label in np.unique(labels)[:10_000]:
        mine = labels == label
        rank[mine] = np.arange(mine.sum())
    return order[np.argsort(rank, kind="stable")]
