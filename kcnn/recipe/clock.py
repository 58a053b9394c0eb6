"""How long a run has taken and may take."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Time of a run over all its sittings, in seconds."""

    now = staticmethod(time.monotonic)  # what all paces of the recipe are measured with

    def __init__(self, limit: float | None = None, spent: float = 0.0):
        self.limit = limit
        self._before = spent
        self._start = self.now()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self._before + self.now() - self._start

    @property
    def left(self) -> float | None:
        """Seconds until the limit, None without one."""
        return None if self.limit is None else max(0.0, self.limit - self.spent)
