"""When an examination has to end."""

import dataclasses
import math
import time

__all__ = ["NEVER", "Deadline"]

BUSY = 3.0  # times its seconds that a deadline waits at most for a machine that does other work


@dataclasses.dataclass(frozen=True)
class Deadline:
    """Seconds by the clock and, so that what is found does not hang on other work of the machine,
    of CPU time of this process.

    >>> NEVER.over
    False
    """

    seconds: float = math.inf
    cpu_seconds: float = 0.0
    begin: float = dataclasses.field(default_factory=time.perf_counter)
    cpu_begin: float = dataclasses.field(default_factory=time.process_time)

    @property
    def passed(self) -> tuple[float, float]:
        """Seconds since the begin, by the clock and of CPU time."""
        return time.perf_counter() - self.begin, time.process_time() - self.cpu_begin

    @property
    def over(self) -> bool:
        passed, used = self.passed
        spent = used >= self.cpu_seconds or passed > BUSY * self.seconds
        return passed > self.seconds and spent


NEVER = Deadline()
