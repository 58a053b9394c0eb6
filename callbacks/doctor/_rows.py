"""What `fit` was given, drawn into arrays once: inputs, targets, weights, validation."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

__all__ = ["Case", "Rows", "draw"]

MOST_BYTES = 600e6  # of a stream; what is beyond is not looked at, and said so


@dataclasses.dataclass
class Rows:
    """Samples in memory. `x` and `y` are arrays, or nests of arrays, of `n` rows."""

    x: Any
    y: Any
    weight: np.ndarray | None = None

    @property
    def n(self) -> int:
        leaves = keras.tree.flatten(self.x)
        return len(leaves[0]) if leaves else 0

    def take(self, index: Any) -> Rows:
        def pick(item):
            return None if item is None else item[index]

        return Rows(
            keras.tree.map_structure(pick, self.x),
            keras.tree.map_structure(pick, self.y),
            pick(self.weight),
        )

    @property
    def single(self) -> bool:
        """True for one input array and one target array."""
        return isinstance(self.x, np.ndarray) and isinstance(self.y, np.ndarray)


@dataclasses.dataclass
class Case:
    """One call of `fit`, understood.

    Args:
        train: Rows that training sees, in the order given (a drawn part if `partial`).
        val: Validation rows or None.
        val_kind: `"split"`, `"given"` or `""`.
        batch_size: Samples a step.
        steps: Steps of the whole run.
        epochs: Number of epochs.
        shuffled: False when the rows come in the given order.
        kwargs: What to pass to `model.fit` beside x (a generator is replaced).
        x, y: What to pass to `model.fit`.
        moving: True when a second drawing gives other rows: random transforms.
        notes: Sentences about what was seen of the data.
        unseen: Sentences about what could not be examined.
        blind: Whether a check of the set-up is among them.
    """

    train: Rows
    val: Rows | None
    val_kind: str
    batch_size: int
    steps: int
    epochs: int
    shuffled: bool
    source: str
    x: Any
    y: Any
    kwargs: dict[str, Any]
    class_weight: dict[int, float] | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    moving: bool = False
    unseen: list[str] = dataclasses.field(default_factory=list)
    blind: bool = False

    def broke(self, what: str, error: Exception, *, blind: bool = True) -> None:
        """Remember that `what` did not run: a check that broke is never a check passed."""
        lines = str(error).splitlines() or [""]
        self.unseen.append(f"{what} broke ({type(error).__name__}: {lines[0][:200]})")
        self.blind = self.blind or blind

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.steps // max(self.epochs, 1))


def draw(x: Any, y: Any, kwargs: dict[str, Any]) -> Case:
    """Understand the arguments of one `fit`.

    Raises:
        ValueError: when there is nothing to train on, or x and y differ in length.
    """
    kwargs = dict(kwargs)
    epochs = int(kwargs.get("epochs", 1)) - int(kwargs.get("initial_epoch", 0) or 0)
    notes: list[str] = []
    cut = False
    if _is_array_nest(x):
        rows = Rows(_arrays(x), _arrays(y), _weights(kwargs.get("sample_weight")))
        _check_lengths(rows)
        val, kind = None, ""
        split = float(kwargs.get("validation_split") or 0.0)
        if kwargs.get("validation_data") is not None:
            val, kind = _validation(kwargs["validation_data"], kwargs), "given"
        elif split:
            at = int(np.floor(rows.n * (1 - split)))
            val, kind = rows.take(slice(at, None)), "split"
            rows = rows.take(slice(0, at))
        batch = int(kwargs.get("batch_size") or 32)
        per_epoch = int(kwargs.get("steps_per_epoch") or max(1, -(-rows.n // batch)))
        shuffled, source = bool(kwargs.get("shuffle", True)), "arrays"
    else:
        val = None
        kind = "given" if kwargs.get("validation_data") is not None else ""
        drawn, batch, per_epoch, x, source = _stream(x, kwargs, notes)
        rows, cut = drawn.rows, drawn.cut
        if kind:
            kwargs, val = _stream_validation(kwargs, notes)
        shuffled = source == "PyDataset" and bool(kwargs.get("shuffle", True))
    if rows.n == 0:
        raise ValueError("examine: received no samples; give fit at least one batch.")
    weight = kwargs.get("class_weight")
    # Of a part alone it cannot be told whether other rows are new ones or transformed.
    moving = source == "generator" or (source != "arrays" and not cut and _moves(x, rows))
    return Case(
        rows, val, kind, min(batch, rows.n), per_epoch * max(epochs, 1), max(epochs, 1),
        shuffled, source, x, y, kwargs, weight, notes, moving,
    )  # fmt: skip


def _is_array_nest(x: Any) -> bool:
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(
        isinstance(leaf, np.ndarray)
        or (hasattr(leaf, "__array__") and hasattr(leaf, "shape") and len(leaf.shape) > 0)
        or isinstance(leaf, (int, float))
        for leaf in leaves
    )


def _arrays(nest: Any) -> Any:
    if nest is None:
        return None
    if isinstance(nest, list) and nest and all(isinstance(v, (int, float)) for v in nest):
        return np.asarray(nest)
    if isinstance(nest, list) and nest and isinstance(nest[0], list):
        return np.asarray(nest)
    out = keras.tree.map_structure(lambda leaf: np.asarray(leaf), nest)
    if isinstance(out, (list, tuple)) and len(out) == 1:
        return out[0]
    return out


def _weights(weight: Any) -> np.ndarray | None:
    return np.asarray(weight, "float32") if weight is not None and _is_array_nest(weight) else None


def _check_lengths(rows: Rows) -> None:
    lengths = {len(leaf) for leaf in keras.tree.flatten([rows.x, rows.y]) if leaf is not None}
    if len(lengths) > 1:
        raise ValueError(
            f"examine: x and y must have the same number of rows; received {sorted(lengths)}."
        )


def _validation(data: Any, kwargs: dict[str, Any]) -> Rows | None:
    if isinstance(data, (tuple, list)) and len(data) in (2, 3) and _is_array_nest(data[0]):
        return Rows(
            _arrays(data[0]), _arrays(data[1]), _weights(data[2] if len(data) > 2 else None)
        )
    if inspect.isgenerator(data) or hasattr(data, "__next__"):
        return None  # cannot be drawn without taking it away from fit
    return _collect(data, kwargs.get("validation_steps")).rows


def _stream_validation(kwargs: dict[str, Any], notes: list[str]):
    data = kwargs["validation_data"]
    if hasattr(data, "__next__"):
        notes.append("the validation generator cannot be restarted and was not looked at")
        return kwargs, None
    return kwargs, _validation(data, kwargs)


def _stream(x: Any, kwargs: dict[str, Any], notes: list[str]):
    """Draw one epoch of a data set, a PyDataset, a loader or a generator, or what fits."""
    limit = kwargs.get("steps_per_epoch")
    if isinstance(x, keras.utils.PyDataset):
        count = x.num_batches
        limit = limit or (len(x) if count is None else count)
        drawn = _collect((x[i] for i in range(int(limit))), limit)
        source = "PyDataset"
    elif hasattr(x, "__next__"):
        batches: list[Any] = []
        drawn = _collect(_kept(x, batches), limit or 100)
        notes.append(
            f"the generator cannot be restarted: examined on the {len(batches)} batches drawn"
        )
        x, source = (batch for batch in itertools.cycle(batches)), "generator"
        limit = limit or len(batches)
        kwargs["steps_per_epoch"] = limit
    else:
        drawn = _collect(x, limit)
        source = "dataset"
    batch = max(drawn.sizes) if drawn.sizes else 1
    steps = int(limit or (_batches_of(x) if drawn.cut else 0) or len(drawn.sizes))
    if drawn.cut and source != "generator":
        notes.append(
            f"examined on the first {drawn.rows.n:,} of about {max(batch * steps, drawn.rows.n):,} "
            f"rows ({MOST_BYTES / 1e6:.0f} MB)"
        )
    return drawn, batch, steps, x, source


def _batches_of(x: Any) -> int:
    """Batches in an epoch of a data set, or 0 where it does not say."""
    try:
        return max(len(x), 0)
    except TypeError:
        return 0


def _kept(batches: Iterable[Any], held: list[Any]) -> Iterator[Any]:
    for batch in batches:
        held.append(batch)
        yield batch


def _moves(x: Any, rows: Rows) -> bool:
    """Does another drawing bring rows that were not in the first?"""
    if not isinstance(rows.x, np.ndarray):
        return False
    again = (x[i] for i in range(min(3, len(x)))) if isinstance(x, keras.utils.PyDataset) else x
    second = _collect(again, 3).rows
    known = {hash(row.tobytes()) for row in np.ascontiguousarray(rows.x)}
    found = [hash(row.tobytes()) in known for row in np.ascontiguousarray(second.x)]
    return bool(found) and float(np.mean(found)) < 0.5


@dataclasses.dataclass
class _Drawn:
    """Rows joined from batches, the batches' sizes, and whether more were to come."""

    rows: Rows
    sizes: list[int]
    cut: bool = False


def _collect(batches: Iterable[Any], limit: Any) -> _Drawn:
    parts, sizes, held, cut = [], [], 0.0, False
    for batch in itertools.islice(batches, int(limit) if limit else None):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        part = Rows(_arrays(x), _arrays(y), _weights(weight))
        parts.append(part)
        sizes.append(part.n)
        held += sum(leaf.nbytes for leaf in keras.tree.flatten([part.x, part.y]))
        if held > MOST_BYTES:
            cut = True
            break
    if not parts:
        return _Drawn(Rows(np.zeros((0,)), np.zeros((0,))), sizes)
    join = lambda *leaves: None if leaves[0] is None else np.concatenate(leaves)  # noqa: E731
    x = keras.tree.map_structure(join, *[part.x for part in parts])
    y = keras.tree.map_structure(join, *[part.y for part in parts])
    weighted = all(part.weight is not None for part in parts)
    rows = Rows(x, y, join(*[p.weight for p in parts]) if weighted else None)
    return _Drawn(rows, sizes, cut)
