"""How long a run has taken and may take, and how fast a model trains."""

import statistics
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Clock", "Pace"]


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


class Pace:
    """Seconds between two updates: their median, which the tracing of the first does not move."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def ticks(self, told: Callable[..., Any] | None = None) -> Callable[..., None]:
        """A function to be called after each update, which passes on what it is told."""

        def tick(*values: Any) -> None:
            self._moments.append(Clock.now())
            if told is not None:
                told(*values)

        return tick

    @property
    def seconds(self) -> float | None:
        """None before the second update."""
        gaps = [b - a for a, b in zip(self._moments, self._moments[1:], strict=False)]
        return statistics.median(gaps) if gaps else None
