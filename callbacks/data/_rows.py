"""Samples in memory, and what `fit` takes turned into arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

__all__ = ["Rows", "array_leaf", "arrays_of", "is_array_nest", "same_rows"]


@dataclasses.dataclass
class Rows:
    """Samples in memory. `x`, `y` and `weight` are arrays, or nests of arrays, of `n` rows."""

    x: Any
    y: Any
    weight: Any = None

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
            keras.tree.map_structure(pick, self.weight),
        )

    @property
    def single(self) -> bool:
        """True for one input array and one target array."""
        return isinstance(self.x, np.ndarray) and isinstance(self.y, np.ndarray)


def is_array_nest(x: Any) -> bool:
    """Arrays, tensors, tables and lists of numbers: whatever `fit` cuts into batches itself."""
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(
        (hasattr(leaf, "__array__") and len(getattr(leaf, "shape", ())) > 0)
        or hasattr(leaf, "tocsr")
        or isinstance(leaf, (int, float))
        for leaf in leaves
    )


def arrays_of(nest: Any) -> Any:
    """The nest with NumPy arrays for leaves; no copy where they are such, on disk or not."""
    if nest is None:
        return None
    if isinstance(nest, list) and nest and isinstance(nest[0], (int, float, list)):
        return np.asarray(nest)
    out = keras.tree.map_structure(array_leaf, nest)
    if isinstance(out, (list, tuple)) and len(out) == 1:
        return out[0]
    return out


def array_leaf(leaf: Any) -> Any:
    """One leaf as an array: ragged ones padded with zeros, as `to_tensor` does; None stays."""
    if leaf is None or isinstance(leaf, np.ndarray):
        return leaf
    if hasattr(leaf, "to_tensor"):  # tf.RaggedTensor
        leaf = leaf.to_tensor()
    elif hasattr(leaf, "dense_shape"):  # tf.SparseTensor
        import tensorflow as tf

        leaf = tf.sparse.to_dense(leaf)
    elif hasattr(leaf, "tocsr"):  # SciPy
        return leaf.tocsr()
    return keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else np.asarray(leaf)


def same_rows(*nests: Any) -> int:
    """The common number of rows. Raises ValueError where they differ."""
    lengths = {leaf.shape[0] for leaf in keras.tree.flatten(list(nests)) if leaf is not None}
    if len(lengths) > 1:
        raise ValueError(
            f"examine: x and y must have the same number of rows; received {sorted(lengths)}."
        )
    return int(lengths.pop()) if lengths else 0
