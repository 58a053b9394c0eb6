"""Events as lines of JSON on standard error."""

from __future__ import annotations

import datetime
import os
import sys

import orjson

__all__ = ["log"]


def log(event: str, **fields: object) -> None:
    """Write one event; a closed terminal must not end the server."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    line = orjson.dumps({"time": now, "event": event, "pid": os.getpid(), **fields}, default=str)
    try:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    except (OSError, ValueError):
        pass
