"""Reading an epoch of a stream into a sample: data sets, PyDatasets, loaders, generators."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data._overlap import row_keys
from kcnn.callbacks.data._part import Part
from kcnn.callbacks.data._rows import Rows
from kcnn.callbacks.data._sampler import MOST_BYTES, MOST_ROWS, PASSING, READ_BATCHES, Sampler
from kcnn.callbacks.data._twin import kept_random, twin_of

__all__ = ["StreamSample", "read_generator", "read_stream"]

AGAIN = 3  # batches read once more, to see whether rows are transformed at random
KNOWN = 0.5  # share of them that comes again where nothing is transformed


@dataclasses.dataclass
class StreamSample:
    """What was read of a stream.

    `sizes` of the batches read, `batches` of an epoch (those read, where nothing tells).
    """

    rows: Rows
    part: Part
    census: Any
    sizes: list[int]
    batches: int
    notes: list[str]
    moving: bool = False


@kept_random()
def read_stream(x: Any, limit: int | None, *, share: float = 1.0) -> StreamSample:
    """An epoch of a `tf.data.Dataset`, PyDataset or loader, or what the bounds allow of it.

    Args:
        limit: `steps_per_epoch`, or None.
        share: Share of the bounds.
    """
    notes: list[str] = []
    twin, rows = twin_of(x, most_rows=int(MOST_ROWS * share), most_bytes=MOST_BYTES * share)
    if twin is None:
        notes.append("the data set could not be built again: reading it moved its shuffling on")
        twin = x
    known = limit or _length(x)
    sampler = Sampler(share=share)
    for batch in itertools.islice(_batches(twin, known), known):
        sampler.add(batch)
        if sampler.enough:
            break
    else:
        if not isinstance(x, keras.utils.PyDataset) and len(sampler.sizes) < (known or 0):
            known = None  # fewer than `steps_per_epoch` asks for
    found = _sampled(sampler, known, thinned=rows)
    found.notes = notes
    found.moving = found.part.whole and _moves(twin, found.rows)
    return found


def read_generator(x: Any, limit: int | None) -> tuple[StreamSample, Iterator[Any]]:
    """The first batches of a generator, and a generator that begins with them again."""
    sampler, held = Sampler(passing=1.0), []
    for batch in itertools.islice(x, limit):
        held.append(batch)
        sampler.add(batch)
        if sampler.enough:
            break
    found = _sampled(sampler, limit)
    if not found.part.whole:
        found.notes.append(
            f"the generator cannot be restarted: examined on the first {len(held)} batches"
        )
    return found, (batch for batch in itertools.chain(held, x))


def _sampled(sampler: Sampler, known: int | None, *, thinned: int | None = None) -> StreamSample:
    """What a sampler has read of an epoch of `known` batches (None: nothing tells).

    Args:
        thinned: Rows of the whole, where the batches were made from a draw of them.
    """
    sizes = sampler.sizes
    whole = thinned is None and (not sampler.enough if known is None else len(sizes) >= known)
    batch = max(sizes, default=1)
    total = thinned or (sampler.passed if whole else None)
    if total is None and known is not None:
        total = max(batch * known, sampler.passed)
    batches = known or len(sizes)
    if thinned:
        batches = known or -(-thinned // batch)
    part = sampler.part(total, exact=whole or thinned is not None)
    # A generator that only shuffles is not known from one that transforms: nothing comes again.
    return StreamSample(
        sampler.rows(), part, sampler.census, sizes, batches, [], moving=thinned is None
    )


def _length(x: Any) -> int | None:
    """Batches of an epoch, or None where the data do not say (or never end)."""
    if isinstance(x, keras.utils.PyDataset):
        return len(x) if x.num_batches is None else x.num_batches
    try:
        return len(x)
    except TypeError:
        return None


def _batches(data: Any, count: int | None) -> Iterator[Any]:
    """The batches of an epoch; of a long PyDataset some that are spread over all of it."""
    if not isinstance(data, keras.utils.PyDataset):
        yield from data
        return
    first = data[0]
    one = Sampler()
    one.add(first)
    size, rows = max(one.read_bytes, 1.0), max(one.passed, 1)
    most = int(min(READ_BATCHES, PASSING * MOST_BYTES // size, PASSING * MOST_ROWS // rows))
    count = count or READ_BATCHES
    for at in np.unique(np.linspace(0, count - 1, max(1, min(count, most))).astype(int)):
        yield first if at == 0 else data[int(at)]


def _moves(twin: Any, rows: Rows) -> bool:
    """Does another drawing bring rows that were not in the whole first one?"""
    if not isinstance(rows.x, np.ndarray):
        return False
    again = Sampler()
    batches = _batches(twin, _length(twin)) if isinstance(twin, keras.utils.PyDataset) else twin
    for batch in itertools.islice(batches, AGAIN):
        again.add(batch)
    second = again.rows().x
    if not isinstance(second, np.ndarray) or second.shape[1:] != rows.x.shape[1:]:
        return False
    known = set(row_keys(rows.x).tolist())
    found = [key in known for key in row_keys(second).tolist()]
    return bool(found) and float(np.mean(found)) < KNOWN
