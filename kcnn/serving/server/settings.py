"""What can be set about a server, with the reason of each default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings"]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """Everything a worker has to know; it travels to the workers as JSON.

    Sizes are in bytes, times in seconds.
    """

    folder: str  # NAME/ with one sub-folder per version, as TensorFlow Serving has it
    name: str = ""  # in the URLs; the folder's own name where it is not given
    host: str = "127.0.0.1"
    port: int = 8501  # TensorFlow Serving's
    workers: int = 1
    threads: int = field(default_factory=_cores)  # of one worker's TensorFlow
    labels: dict[str, int] = field(default_factory=dict)  # /labels/stable -> version
    poll_s: float = 1.0  # between two looks at the folder

    max_batch: int = 64  # images; beyond it a batch brings no throughput, only waiting
    max_wait_s: float = 0.005  # for a batch to fill while the machine has nothing else to do
    max_queue: int = 1024  # images that wait; more are answered 429
    max_body: int = 32 * 2**20  # of one request
    max_buffered: int = 256 * 2**20  # of all requests that are being read or wait
    max_pixels: int = 40_000_000  # of one picture and of all in a batch: 0.6 GB when decoded
    max_header: int = 32 * 2**10
    max_connections: int = 2048
    receive_s: float = 30.0  # for a whole request to arrive
    answer_s: float = 30.0  # from then to its answer; later is 504
    drain_s: float = 30.0  # for the open requests after SIGTERM

    api_key: str = ""  # empty: none asked for
    access_log: bool = False

    def __post_init__(self) -> None:
        folder = Path(self.folder).absolute()
        object.__setattr__(self, "folder", str(folder))
        object.__setattr__(self, "name", self.name or folder.name)
        for key in ("workers", "threads", "max_batch", "max_queue"):
            if getattr(self, key) < 1:
                raise ValueError(f"kcnn serve: {key}={getattr(self, key)}; at least 1 is needed.")
        if any(c in self.name for c in "/:") or not self.name:
            raise ValueError(
                f"kcnn serve: the name {self.name!r} cannot stand in a URL; give another one "
                "with --name."
            )
        if not folder.is_dir():
            raise FileNotFoundError(2, "No such folder", str(folder))
