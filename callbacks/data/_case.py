"""One call of `fit`, understood: which rows, which batches, how many steps."""

import dataclasses
import functools
import traceback
from typing import Any

import keras
import numpy as np

from kcnn.callbacks.data._part import Census, Part
from kcnn.callbacks.data._rows import Rows, arrays_of, is_array_nest, same_rows
from kcnn.callbacks.data._sampler import MOST_BYTES, capacity
from kcnn.callbacks.data._stream import StreamSample, read_generator, read_stream
from kcnn.callbacks.data._twin import untransformed_twin

__all__ = ["Case", "draw"]

VALIDATION = 0.25  # share of the bounds that validation rows may take


@dataclasses.dataclass
class Case:
    """One call of `fit`, understood.

    Args:
        train: Rows that training sees, in the order given (an even draw if `part` says so).
        val: Validation rows, drawn alike, or None.
        val_kind: `"split"`, `"given"` or `""`.
        batch_size: Samples a step.
        steps: Steps of the whole run.
        epochs: Number of epochs.
        shuffled: False when the rows come in the given order.
        source: `"arrays"`, `"dataset"`, `"PyDataset"` or `"generator"`.
        x, y: What to pass to `model.fit` (a generator begins with the batches drawn).
        kwargs: What to pass to it beside them.
        part: What part of the training data was seen.
        census: Labels of all rows that went by: a `Census`, or a nest of them like `y`.
        moving: True when a second drawing gives other rows: random transforms.
        notes: Sentences about what was seen of the data.
        unseen: Sentences about what could not be examined.
        blind: Whether a check of the set-up is among them.
        tracebacks: Of the checks that broke.
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
    part: Part = dataclasses.field(default_factory=lambda: Part(0, 0, None, exact=False))
    census: Any = None
    tracebacks: list[str] = dataclasses.field(default_factory=list)

    @functools.cached_property
    def untransformed(self) -> Rows | None:
        """Rows of the training data set without its maps that draw random numbers, if it has any.

        None too where they change shapes, or the data are too large to be built again.
        """
        plain = untransformed_twin(self.x) if self.source == "dataset" else None
        return (
            None if plain is None else read_stream(plain, self.kwargs.get("steps_per_epoch")).rows
        )

    def broke(self, what: str, error: Exception, *, blind: bool = True) -> None:
        """Remember that `what` did not run: a check that broke is never a check passed."""
        self.tracebacks.append("".join(traceback.format_exception(error)))
        lines = str(error).splitlines() or [""]
        self.unseen.append(f"{what} broke ({type(error).__name__}: {lines[0][:200]})")
        self.blind = self.blind or blind


def draw(x: Any, y: Any, kwargs: dict[str, Any]) -> Case:
    """Understand the arguments of one `fit`; nothing that `fit` will get is changed by it.

    Raises:
        ValueError: when there is nothing to train on, or x and y differ in length.
    """
    case = _from_arrays(x, y, dict(kwargs)) if is_array_nest(x) else _from_stream(x, dict(kwargs))
    if case.train.n == 0:
        raise ValueError("examine: received no samples; give fit at least one batch.")
    _one_weight(case)
    case.batch_size = min(case.batch_size, case.part.total or case.batch_size)
    case.class_weight = kwargs.get("class_weight")
    if not case.part.whole:
        case.notes.append(f"examined on {case.part}")
    return case


def _one_weight(case: Case) -> None:
    """Weights of each output by itself are left to `fit`: trials know one weight a row."""
    for rows in (case.train, case.val):
        if rows is None or rows.weight is None:
            continue
        if isinstance(rows.weight, np.ndarray):
            rows.weight = np.asarray(rows.weight, "float32")
            if (rows.weight == 1).all():  # none at all
                rows.weight = None
        else:
            rows.weight = None
            case.notes.append("sample weights of single outputs are used by fit alone")


def _epochs(kwargs: dict[str, Any]) -> int:
    return max(1, int(kwargs.get("epochs", 1)) - int(kwargs.get("initial_epoch", 0) or 0))


def _from_arrays(x: Any, y: Any, kwargs: dict[str, Any]) -> Case:
    weight = kwargs.get("sample_weight")
    all_x, all_y = arrays_of(x), arrays_of(y)
    all_weight = None if weight is None or not is_array_nest(weight) else arrays_of(weight)
    rows = total = same_rows(all_x, all_y)
    val, val_kind = None, ""
    split = float(kwargs.get("validation_split") or 0.0)
    if kwargs.get("validation_data") is not None:
        val_kind = "given"
    elif split:
        total, val_kind = int(np.floor(rows * (1 - split))), "split"
        val = _array_rows(all_x, all_y, all_weight, total, rows, share=VALIDATION)
    train = _array_rows(all_x, all_y, all_weight, 0, total)
    batch, epochs = int(kwargs.get("batch_size") or 32), _epochs(kwargs)
    per_epoch = int(kwargs.get("steps_per_epoch") or max(1, -(-total // batch)))
    case = Case(
        train, val, val_kind, batch, per_epoch * epochs, epochs,
        bool(kwargs.get("shuffle", True)), "arrays", x, y, kwargs,
        part=Part(train.n, total, total, exact=True),
        census=_array_census(all_y, total),
    )  # fmt: skip
    if val_kind == "given":
        case.val = _validation(case)
    return case


def _array_rows(
    x: Any, y: Any, weight: Any, start: int, stop: int, *, share: float = 1.0, seed: int = 0
) -> Rows:
    """Rows `start` to `stop`: the arrays themselves, or an even draw where that is too much."""
    most = capacity(x, y, share=share)
    index: Any = slice(start, stop)
    if stop - start > most:
        drawn = np.random.default_rng(seed).choice(stop - start, most, replace=False)
        index = start + np.sort(drawn)

    def pick(leaf):
        if leaf is None:
            return None
        kept = leaf[index]
        return kept.toarray() if hasattr(kept, "toarray") else kept  # SciPy

    return Rows(*(keras.tree.map_structure(pick, part) for part in (x, y, weight)))


def _array_census(y: Any, rows: int) -> Any:
    """Every label is counted where targets are small (columns of numbers), else the drawn ones."""

    def count(leaf):
        if leaf is None or not isinstance(leaf, np.ndarray):
            return None
        census = Census()
        small = leaf[:rows].nbytes <= MOST_BYTES
        census.add(leaf[:rows] if small else leaf[: capacity(leaf)])
        return census

    return keras.tree.map_structure(count, y)


def _from_stream(x: Any, kwargs: dict[str, Any]) -> Case:
    limit = kwargs.get("steps_per_epoch")
    limit = int(limit) if limit else None
    found: StreamSample
    if hasattr(x, "__next__") and not isinstance(x, keras.utils.PyDataset):
        source = "generator"
        found, x = read_generator(x, limit)
        if limit is None and not found.part.whole:  # it may never end
            kwargs["steps_per_epoch"] = len(found.sizes)
    else:
        source = "PyDataset" if isinstance(x, keras.utils.PyDataset) else "dataset"
        found = read_stream(x, limit)
    epochs = _epochs(kwargs)
    case = Case(
        found.rows, None, "given" if kwargs.get("validation_data") is not None else "",
        max(found.sizes, default=1), found.batches * epochs, epochs,
        source == "PyDataset" and bool(kwargs.get("shuffle", True)), source, x, None, kwargs,
        notes=found.notes, part=found.part, census=found.census, moving=found.moving,
    )  # fmt: skip
    if case.val_kind:
        case.val = _validation(case)
    return case


def _validation(case: Case) -> Rows | None:
    data, steps = case.kwargs["validation_data"], case.kwargs.get("validation_steps")
    if isinstance(data, (tuple, list)) and len(data) in (2, 3) and is_array_nest(data[0]):
        x, y, weight = (arrays_of(part) for part in (*data, None)[:3])
        return _array_rows(x, y, weight, 0, same_rows(x, y), share=VALIDATION)
    if hasattr(data, "__next__") and not isinstance(data, keras.utils.PyDataset):
        case.unseen.append("the validation rows: a generator cannot be read twice")
        return None
    found = read_stream(data, int(steps) if steps else None, share=VALIDATION)
    case.notes += found.notes
    return found.rows
