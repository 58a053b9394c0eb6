"""Rows that are kept in memory as long as they are few, and in a temporary file from then on."""

import os
import tempfile
from typing import IO

import numpy as np

__all__ = ["Rows"]


class Rows:
    """Arrays of equal rows, appended one batch after the other.

    At most `limit` bytes lie in memory; what is more goes to a temporary file in `folder`
    (the system's if None), which ends with the last array that reads from it.
    """

    def __init__(self, limit: int, folder: str | os.PathLike[str] | None = None):
        self.limit = limit
        self.folder = folder
        self._parts: list[np.ndarray] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self.count = 0

    def append(self, rows: np.ndarray) -> None:
        """Add `rows`, (n, ...) with the shape and type of those before."""
        self.count += len(rows)
        self._parts.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self.limit:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - outlives this call
        for part in self._parts:
            self._file.write(np.ascontiguousarray(part).data)
        self._parts, self._bytes = self._parts[-1:], 0
        self._parts = [part[:0] for part in self._parts]  # the shape and type stay known

    def array(self) -> np.ndarray:
        """All rows, (count, ...): in memory or mapped from the file."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._spill()
        self._file.flush()
        like = self._parts[-1]
        return np.memmap(
            self._file, dtype=like.dtype, mode="r", shape=(self.count, *like.shape[1:])
        )
