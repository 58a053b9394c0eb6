"""Any data that `fit` takes, cut into numbered batches that can be shown again."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["Feed"]

KEEP_BYTES = 512 * 2**20  # batches kept in memory so that every probe sees the same ones


class Feed:
    """Batches 0, 1, 2, ... of a data source, the same for every probe that asks.

    Arrays are shuffled once by `seed`. A dataset is read once and kept while its batches
    fit in `KEEP_BYTES`; a larger one is read anew by each probe. Data with fewer batches
    than asked for are repeated (`repeated` says so).

    Args:
        x: Arrays (or dicts and tuples of them), `tf.data.Dataset`, `PyDataset`, PyTorch
            `DataLoader`, generator or iterable of `(x, y)` or `(x, y, sample_weight)`.
        y: Targets, with arrays only.
        batch_size: With arrays only; 32 if None, as in `fit`.
        batches: How many different batches are needed at most.
        sample_weight: With arrays only.
        seed: Order of the arrays' rows.

    Raises:
        ValueError: no data, or `y` beside a dataset.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        batches: int = 100,
        sample_weight: Any = None,
        seed: int = 0,
    ):
        self.batches = batches
        self.repeated = False
        self._kept: list[Any] | None = None
        self._dataset: Any = None
        self._arrays: tuple[Any, ...] | None = None
        if _are_arrays(x):
            self._take_arrays((x, y, sample_weight), batch_size or 32, seed)
        elif y is not None or sample_weight is not None:
            raise ValueError(
                f"Feed: y and sample_weight go with arrays; x is a {type(x).__name__}, "
                "which has to yield (x, y) itself."
            )
        elif all(hasattr(x, name) for name in ("take", "cache", "skip", "element_spec")):
            self._take_dataset(x)
        else:
            self._take_iterable(x)

    def part(self, start: int, stop: int) -> dict[str, Any]:
        """Arguments for `fit` that show batches `start` to `stop` (exclusive) once."""
        if self._arrays is not None:
            rows = self._order[start * self.batch_size : stop * self.batch_size]
            x, y, weight = (
                None if part is None else keras.tree.map_structure(lambda a: a[rows], part)
                for part in self._arrays
            )
            return {
                "x": x,
                "y": y,
                "sample_weight": weight,
                "batch_size": self.batch_size,
                "shuffle": False,
            }
        if self._dataset is not None:
            part = self._dataset.skip(start) if start and self._cached else self._dataset
            return {"x": part.take(stop - start), "shuffle": False}
        assert self._kept is not None
        size = len(self._kept)
        return {"x": _Listed([self._kept[i % size] for i in range(start, stop)]), "shuffle": False}

    def first(self) -> Any:
        """The inputs of the first batch."""
        if self._arrays is not None:
            return self.part(0, 1)["x"]
        if self._dataset is not None:
            batch = next(iter(self._dataset))
        else:
            assert self._kept is not None
            batch = self._kept[0]
        return batch[0] if isinstance(batch, (tuple, list)) else batch

    def _take_arrays(self, parts: tuple[Any, ...], batch_size: int, seed: int) -> None:
        self._arrays = tuple(
            None if part is None else keras.tree.map_structure(_as_array, part) for part in parts
        )
        sizes = {len(a) for part in self._arrays for a in keras.tree.flatten(part) if a is not None}
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError(
                f"Feed: x, y and sample_weight must have the same number of rows, at least 1; "
                f"received {sorted(sizes)}."
            )
        rows = sizes.pop()
        self.batch_size = min(batch_size, rows)
        whole = rows // self.batch_size * self.batch_size
        wanted = self.batches * self.batch_size
        self.repeated = wanted > whole
        rng = np.random.default_rng(seed)
        passes = [rng.permutation(rows)[:whole] for _ in range(-(-wanted // whole))]
        self._order = np.concatenate(passes)[:wanted]

    def _take_dataset(self, dataset: Any) -> None:
        first = next(iter(dataset), None)
        if first is None:
            raise ValueError("Feed: the dataset yields no batch.")
        size = sum(np.asarray(part).nbytes for part in keras.tree.flatten(first))
        self._cached = size * self.batches <= KEEP_BYTES
        length = int(dataset.cardinality()) if hasattr(dataset, "cardinality") else -2
        self.repeated = 0 <= length < self.batches
        dataset = dataset.repeat().take(self.batches)
        if self._cached:
            dataset = dataset.cache()
            for _ in dataset:  # read it whole: a half-read cache is thrown away
                pass
        self._dataset = dataset

    def _take_iterable(self, source: Any) -> None:
        if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
            read = (source[i] for i in range(len(source)))
        else:
            read = iter(source)
        self._kept = []
        for batch in read:
            self._kept.append(keras.tree.map_structure(_as_array, batch))
            if len(self._kept) == self.batches:
                break
        if not self._kept:
            raise ValueError(f"Feed: {type(source).__name__} yields no batch.")
        self.repeated = len(self._kept) < self.batches


class _Listed(keras.utils.PyDataset):
    """Kept batches, in order."""

    def __init__(self, batches: list[Any]):
        super().__init__()
        self._batches = batches

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        batch = self._batches[index]
        return tuple(batch) if isinstance(batch, list) else batch


def _are_arrays(x: Any) -> bool:
    leaves = keras.tree.flatten(x) if isinstance(x, (dict, list, tuple)) else [x]
    if not leaves:
        raise ValueError("Feed: x is empty.")
    return all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def _as_array(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return value
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return np.asarray(value)
