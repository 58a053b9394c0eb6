"""What is known about many image files, kept between starts; only what changed is read again."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._headers import BadImage, read_header
from kcnn.data._home import cache_folder, keep, recall
from kcnn.data._progress import progress

__all__ = ["Manifest", "find", "look_at_files", "shown"]

_PIECE = 256  # files that one task looks at
_MOST_BYTES = 1 << 28  # of one file, which is read whole
_THREADS = min(8, 2 * (os.cpu_count() or 1))
_ROW = np.dtype(
    [
        ("size", "i8"),
        ("mtime", "i8"),  # nanoseconds
        ("height", "i4"),
        ("width", "i4"),
        ("channels", "i1"),
        ("orientation", "i1"),
        ("alpha", "?"),
        ("bits", "i1"),
        ("format", "S4"),
        ("hash", "V16"),  # BLAKE2b over the bytes of the file
    ]
)


@dataclass(frozen=True, eq=False)
class Manifest:
    """`rows[i]` is what is known of `paths[i]`; `bad` says why other files can't be used.

    Paths are a column of bytes, sorted, each as long as the longest one.
    """

    paths: np.ndarray
    rows: np.ndarray
    bad: dict[bytes, str]


def shown(path: bytes | str) -> str:
    """A path as one line of text, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def find(column: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where `wanted` stand in a sorted column, and which of them do."""
    if len(column) == 0:
        return np.zeros(len(wanted), int), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(column, wanted), len(column) - 1)
    return at, column[at] == wanted


def look_at_files(
    root: bytes, paths: np.ndarray, *, key: bytes, title: str
) -> tuple[Manifest, tuple[str, ...]]:
    """Read every header under `root` that is not known yet; the manifest, and notes.

    `paths` are sorted. Files are known again by path, size and time of change. What was learned is
    kept in `cache_folder()` under the path `key`, also when the look is broken off; where it can't
    be kept, a note says so.
    """
    store = _store_of(key)
    rows, known = np.zeros(len(paths), _ROW), _known(store)
    bad: dict[bytes, str] = {}
    for number, path in enumerate(paths):
        try:
            state = os.stat(os.path.join(root, path))
            rows["size"][number], rows["mtime"][number] = state.st_size, state.st_mtime_ns
        except OSError as error:
            bad[bytes(path)] = _why(error)
            rows["size"][number] = -1
    at, same = find(known.paths, paths)
    for field in ("size", "mtime"):
        same[same] = known.rows[field][at[same]] == rows[field][same]
    rows[same] = known.rows[at[same]]
    fresh = np.flatnonzero(~same & (rows["size"] >= 0))
    changed = len(fresh) > 0 or len(known.paths) != len(paths) - len(bad)
    try:
        _look(root, paths, fresh, rows, bad, title)
    finally:
        good = rows["height"] > 0
        found = Manifest(paths[good], rows[good], bad)
        said = _keep(store, found) if changed else ()
    return found, said


def _look(
    root: bytes,
    paths: np.ndarray,
    fresh: np.ndarray,
    rows: np.ndarray,
    bad: dict[bytes, str],
    title: str,
) -> None:
    """Fill `rows` and `bad` for the files `fresh`, in threads."""

    def look(numbers: np.ndarray) -> int:
        for number in numbers.tolist():
            try:
                rows[number] = _look_at(os.path.join(root, paths[number]))
            except BadImage as error:
                bad[bytes(paths[number])] = str(error)
            except OSError as error:
                bad[bytes(paths[number])] = _why(error)
        return len(numbers)

    pool = ThreadPoolExecutor(_THREADS)
    try:
        with progress(title, len(fresh)) as advance:
            waiting: set[Future[int]] = {
                pool.submit(look, fresh[start : start + _PIECE])
                for start in range(0, len(fresh), _PIECE)
            }
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                advance(sum(task.result() for task in done))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _look_at(path: bytes) -> tuple[Any, ...]:
    """The row of one file; its length and time are those of the very bytes that were read."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise BadImage("no ordinary file")
        if found.st_size > _MOST_BYTES:
            raise BadImage(f"too large: {found.st_size / 2**20:.0f} MiB")
        data = file.read(_MOST_BYTES + 1)
    header = read_header(data)
    return (
        found.st_size,
        found.st_mtime_ns,
        header.height,
        header.width,
        header.channels,
        header.orientation,
        header.alpha,
        header.bits,
        header.format.encode(),
        hashlib.blake2b(data, digest_size=16).digest(),
    )


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing (it has been removed, or a link leads nowhere)"
    return (error.strerror or type(error).__name__).lower()


def _store_of(key: bytes) -> Path:
    place = os.path.realpath(key)
    return (
        cache_folder() / "manifests" / f"{hashlib.blake2b(place, digest_size=12).hexdigest()}.npz"
    )


def _known(store: Path) -> Manifest:
    """What an earlier start kept; nothing where it can't be used."""
    found = recall(store, "paths", "rows")
    if found is None or found[1].dtype != _ROW or len(found[0]) != len(found[1]):
        return Manifest(np.zeros(0, bytes), np.zeros(0, _ROW), {})
    return Manifest(found[0], found[1], {})


def _keep(store: Path, found: Manifest) -> tuple[str, ...]:
    """Keep the manifest, or say that it can't be."""
    try:
        keep(store, paths=found.paths, rows=found.rows)
    except OSError as error:
        return (
            f"what was learned about the files could not be kept in {store.parent} "
            f"({_why(error)}): the next start reads all of them again; set KCNN_CACHE to a folder "
            "that can be written",
        )
    return ()
