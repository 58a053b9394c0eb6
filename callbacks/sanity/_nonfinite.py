"""NaN and infinity where they hide: a relu turns NaN into 0, and the loss looks sound."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.data import Feed, array_leaf
from kcnn.callbacks.keras_internals import array_of

__all__ = ["FILL_THEM", "first_nonfinite", "nonfinite_finding", "weights_of"]

FILL_THEM = "Remove or fill them: np.isfinite of them all must be True."


def first_nonfinite(parts: Iterable[tuple[str, Any]]) -> tuple[str, int, int] | None:
    """The first (name, nest of arrays) with NaN or infinity: its name, how many, of how many."""
    for name, nest in parts:
        for leaf in keras.tree.flatten(nest):
            values = array_leaf(leaf)
            if values is None or values.dtype.kind not in "fcV":
                continue
            if values.dtype.kind == "V":  # bfloat16
                values = values.astype("float32")
            bad = int((~np.isfinite(values)).sum())
            if bad:
                return name, bad, values.size
    return None


def weights_of(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """The model's weights by name."""
    for variable in model.weights:
        yield f"weights {variable.path}", array_of(variable)


def nonfinite_finding(model: keras.Model, feed: Feed, batches: int) -> Finding | None:
    """A failure where weights, inputs, targets or sample weights of the batches hold any."""
    found = first_nonfinite(weights_of(model)) or first_nonfinite(_batch_parts(feed, batches))
    if found is None:
        return None
    name, bad, size = found
    seen = f"{bad} of {size} values in {name} are NaN or infinite"
    return Finding(
        "finite", "failure", seen, "finite numbers", FILL_THEM, "nan_inputs", name,
        {"bad": bad, "size": size},
    )  # fmt: skip


def _batch_parts(feed: Feed, batches: int) -> Iterator[tuple[str, Any]]:
    for number, batch in enumerate(feed.batches(batches), 1):
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        for name, part in zip(("x", "y", "sample_weight"), parts, strict=False):
            yield f"{name} of batch {number}", part
