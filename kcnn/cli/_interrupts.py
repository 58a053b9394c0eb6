"""SIGTERM and Ctrl-C during a run, and what is said of what was kept."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["interrupts", "what_was_kept"]


@contextmanager
def interrupts() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does; a second of them ends it at once.

    What is on disk is whole at any moment, so nothing is lost by that.
    """
    heard: list[int] = []

    def end(number: int, frame: Any) -> None:
        if heard:
            os.write(2, b"\nkcnn: ended at once; go on with --resume.\n")
            os._exit(2)
        heard.append(number)
        raise KeyboardInterrupt

    try:
        before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever is there handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def what_was_kept(out: Path | None) -> str:
    """What an interrupted run in this folder leaves, and how it goes on."""
    try:
        steps = json.loads(((out or Path()) / "result.json").read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError):
        return "Interrupted before the first step; nothing was written."
    if not steps:
        return f"Interrupted: no step was finished. Go on in {out} with --resume."
    finished = "step 1 is" if len(steps) == 1 else f"steps 1 to {len(steps)} are"
    return f"Interrupted: {finished} finished and kept in {out}. Go on with --resume."
