"""A data set of one's own to read from: what the user's `fit` will get is not touched."""

import contextlib
import copy
import random
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import (
    array_of,
    dataset_sources,
    dataset_twin,
    eager_random_state,
    global_seed_state,
    name_counters,
    put_eager_random_state,
    put_global_names,
    thinned_dataset,
)

__all__ = ["kept_random", "twin_of", "untransformed_twin"]

SHARED_BYTES = 64e6  # arrays of a data set beyond this are not copied: they are only read


def twin_of(data: Any, *, most_rows: int, most_bytes: float) -> tuple[Any, int | None]:
    """What can be read in place of `data`, and how many rows it left out of how many.

    A `tf.data.Dataset` is built again from its graph, with shuffles and caches of its own, so
    that reading it moves no random state and no cache file; one that holds large arrays is
    built over an even draw of their rows. A PyDataset is copied, but for its large arrays.

    Returns:
        The twin (None where none can be made: then only `fit` itself may read the data), and
        the rows of the whole where the twin has fewer.
    """
    if isinstance(data, keras.utils.PyDataset):
        return _py_twin(data), None
    if not hasattr(data, "element_spec"):
        return (None if hasattr(data, "__next__") else data), None
    sources = dataset_sources(data)
    if sources is None:
        return None, None
    held = sum(size for _, size in sources)
    if held <= SHARED_BYTES:
        return dataset_twin(data), None
    rows = max(count for count, _ in sources)
    keep = int(min(rows, most_rows, max(1, rows * most_bytes // held)))
    return thinned_dataset(data, keep), (rows if keep < rows else None)


def untransformed_twin(data: Any) -> Any:
    """A `tf.data.Dataset` without its random maps; None where it has none, or holds too much."""
    sources = dataset_sources(data)
    if sources is None or sum(size for _, size in sources) > SHARED_BYTES:
        return None
    return dataset_twin(data, random_maps=False)


def _py_twin(data: keras.utils.PyDataset) -> keras.utils.PyDataset:
    """Some count what they gave, or shuffle in place: the copy does it to itself."""
    twin = copy.copy(data)
    for name, value in vars(data).items():
        if isinstance(value, np.ndarray) and value.nbytes > SHARED_BYTES:
            continue
        with contextlib.suppress(Exception):  # locks, open files, generators: shared too
            setattr(twin, name, copy.deepcopy(value))
    return twin


@contextlib.contextmanager
def kept_random() -> Iterator[None]:
    """What is read inside may draw random numbers; the next ones drawn are the same as without."""
    names, eager = name_counters(), eager_random_state()
    seed = global_seed_state()
    value = None if seed is None else array_of(seed).copy()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    drawn = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        put_global_names(names)
        put_eager_random_state(eager)
        if seed is not None:
            seed.assign(value)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(drawn)
