"""Who works on a trial, and whether that process is still there."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

__all__ = ["Watch", "gone", "this_worker"]


def this_worker() -> dict[str, Any]:
    """This process: where it runs, its number there, and when it began."""
    return {"host": socket.gethostname(), "place": _place(), "pid": os.getpid(), "began": _began()}


def gone(worker: dict[str, Any]) -> bool | None:
    """Whether the process has ended; None where it can't be seen from here."""
    if not worker or worker.get("place") != _place():
        return None
    pid = int(worker.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's: it is there
    # The number may have been given anew; and a process that nobody has waited for is a zombie.
    return _began(pid) != worker.get("began")


class Watch:
    """Tells which of the others' signs of life have stopped.

    Only the own clock counts: a sign is stale when it has not changed for `patience` seconds
    of watching, whatever time other machines believe it is.
    """

    def __init__(self, patience: float):
        self.patience = patience
        self._seen: dict[Any, tuple[Any, float]] = {}

    def stale(self, key: Any, sign: Any) -> bool:
        """Whether this sign of `key` has been the same for too long."""
        before, since = self._seen.get(key, (None, 0.0))
        now = time.monotonic()
        if key not in self._seen or before != sign:
            self._seen[key] = (sign, now)
            return False
        return now - since > self.patience


def _place() -> str:
    """The running system and process namespace that process numbers belong to."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(pid: int | str = "self") -> str:
    """Start of a process in the system's ticks; "" where it has ended or the system is silent."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
