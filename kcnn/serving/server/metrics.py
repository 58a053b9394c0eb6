"""Counters in Prometheus's text format, summed over the workers.

Every worker counts in a row of its own in memory that all workers share, so that whichever
of them is asked knows the whole.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left

import numpy as np

__all__ = ["ENDPOINTS", "Metrics", "shared_file"]

ENDPOINTS = ("predict", "classify", "status", "metadata", "page", "health", "metrics", "other")
CODES = (200, 400, 401, 404, 405, 408, 413, 415, 429, 431, 499, 500, 503, 504)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_HELP = {
    "kcnn_requests_total": ("counter", "Answered requests by endpoint and status code."),
    "kcnn_request_seconds": (
        "histogram",
        "From a request's arrival to its answer, predictions only.",
    ),
    "kcnn_batch_rows": ("histogram", "Images per batch."),
    "kcnn_batch_seconds": ("histogram", "Time of one batch in the graph."),
    "kcnn_queue_rows": ("gauge", "Images that wait for a batch."),
    "kcnn_open_connections": ("gauge", "Open connections."),
    "kcnn_model_version": ("gauge", "The version that answers; 0 while there is none."),
    "kcnn_broken_versions": ("gauge", "Versions that did not load."),
    "kcnn_worker_resident_bytes": ("gauge", "Memory of the workers."),
    "kcnn_worker_starts_total": ("counter", "Starts of worker processes."),
}


def _columns() -> dict[tuple[str, str], int]:
    """The place of every series in a row."""
    series = [
        ("kcnn_requests_total", f'endpoint="{e}",code="{c}"') for e in ENDPOINTS for c in CODES
    ]
    for name, edges in (
        ("kcnn_request_seconds", SECONDS),
        ("kcnn_batch_rows", ROWS),
        ("kcnn_batch_seconds", SECONDS),
    ):
        series += [(f"{name}_bucket", f'le="{edge}"') for edge in (*edges, "+Inf")]
        series += [(f"{name}_sum", ""), (f"{name}_count", "")]
    series += [(name, "") for name, (kind, _) in _HELP.items() if kind == "gauge"]
    series += [("kcnn_worker_starts_total", "")]
    return {key: i for i, key in enumerate(series)}


_COLUMNS = _columns()
_HIGHEST = {"kcnn_model_version", "kcnn_broken_versions"}  # not summed over workers


def shared_file(workers: int) -> int:
    """A file descriptor of the shared table, for the workers to inherit."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.truncate(workers * len(_COLUMNS) * 8)
        return os.dup(file.fileno())


class Metrics:
    """The series of one worker, and the text for all of them."""

    def __init__(self, descriptor: int | None = None, worker: int = 0, workers: int = 1):
        if descriptor is None:
            self._all = np.zeros((workers, len(_COLUMNS)))
        else:
            memory = mmap.mmap(descriptor, workers * len(_COLUMNS) * 8)
            self._all = np.frombuffer(memory, np.float64).reshape(workers, -1)
        self._mine = memoryview(self._all[worker]).cast("B").cast("d")  # fast single writes
        self._request_base = {
            (e, c): _COLUMNS["kcnn_requests_total", f'endpoint="{e}",code="{c}"']
            for e in ENDPOINTS
            for c in CODES
        }
        self.set("kcnn_queue_rows", 0)
        self.set("kcnn_open_connections", 0)
        self._mine[_COLUMNS["kcnn_worker_starts_total", ""]] += 1

    def request(self, endpoint: str, code: int) -> None:
        column = self._request_base.get((endpoint, code))
        if column is None:
            column = self._request_base[endpoint, 200 if code < 400 else 400 if code < 500 else 500]
        self._mine[column] += 1

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        edges = ROWS if name == "kcnn_batch_rows" else SECONDS
        first = _COLUMNS[f"{name}_bucket", f'le="{edges[0]}"']
        mine = self._mine
        mine[first + bisect_left(edges, value)] += 1  # its own bucket only; summed up in text()
        mine[first + len(edges) + 1] += value
        mine[first + len(edges) + 2] += 1

    def set(self, name: str, value: float) -> None:
        self._mine[_COLUMNS[name, ""]] = value

    def text(self) -> bytes:
        """All series in Prometheus's text format, without codes that were never answered."""
        lines, told, below = [], set(), 0.0
        for (name, labels), column in _COLUMNS.items():
            values = self._all[:, column]
            value = values.max() if name in _HIGHEST else values.sum()
            family = name if name in _HELP else name.rsplit("_", 1)[0]
            if name == "kcnn_requests_total" and not value:
                continue
            if family not in told:
                told.add(family)
                kind, text = _HELP[family]
                lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
                below = 0.0
            if name.endswith("_bucket"):
                value = below = below + value
            lines.append(f"{name}{{{labels}}} {value:.17g}" if labels else f"{name} {value:.17g}")
        return ("\n".join(lines) + "\n").encode()
