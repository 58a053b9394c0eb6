"""Rows: how many to look at, and as tensors."""

from typing import Any

import keras
import numpy as np

__all__ = ["few", "on_tensorflow", "tensors"]

NUMBERS = 1_000_000  # that are looked at, and rows at least and at most
FEWEST, MOST = 16, 256


def few(x: Any) -> int:
    """How many rows to look at: fewer when they are large."""
    size = max(int(np.prod(leaf.shape[1:])) for leaf in keras.tree.flatten(x))
    return int(np.clip(NUMBERS // max(size, 1), FEWEST, MOST))


def on_tensorflow() -> bool:
    return bool(keras.config.backend() == "tensorflow")


def tensors(nest: Any) -> Any:
    """Arrays as tensors, float64 as float32 like `fit` does."""

    def one(leaf):
        if isinstance(leaf, np.ndarray) and leaf.dtype == np.float64:
            leaf = leaf.astype("float32")
        return keras.ops.convert_to_tensor(leaf)

    return keras.tree.map_structure(one, nest)
