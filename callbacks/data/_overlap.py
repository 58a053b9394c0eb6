"""Comparing rows in bounded memory: keys for equal rows, a few columns for distances."""

from typing import Any

import numpy as np

__all__ = ["even_rows", "flat_rows", "row_keys"]

MOST_NUMBERS = 8_000_000  # 64 MB as float64


def row_keys(x: np.ndarray) -> np.ndarray:
    """A 64-bit key for each row (n,); equal rows have equal keys. No copy of the whole array."""
    return np.fromiter((hash(np.ascontiguousarray(row).tobytes()) for row in x), "int64", len(x))


def even_rows(x: Any, most: int) -> Any:
    """At most `most` rows spread over the array, fewer of large ones: `MOST_NUMBERS` numbers."""
    size = max(1, int(np.prod(x.shape[1:])))
    most = min(most, max(16, MOST_NUMBERS // size))
    return x if len(x) <= most else x[:: -(-len(x) // most)]


def flat_rows(x: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` evenly spread rows as float64 (n, columns): an even choice of wide columns."""
    rows = x if len(x) <= most else x[:: -(-len(x) // most)]
    flat = rows.reshape(len(rows), -1)
    columns = max(1, MOST_NUMBERS // max(len(rows), 1))
    if flat.shape[1] > columns:
        flat = flat[:, :: -(-flat.shape[1] // columns)]
    return np.asarray(flat, "float64")
