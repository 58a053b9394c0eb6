"""What is known about many image files, kept between starts; only what changed is read again."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._headers import BadImage, read_header
from kcnn.data._home import cache_folder
from kcnn.data._progress import progress

__all__ = ["Manifest", "look_at_files", "shown"]

_VERSION = 1  # of the stored form; another one is not read
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
    """`rows[i]` is what is known of `paths[i]`; `bad` says why other files can't be used."""

    paths: list[bytes]
    rows: np.ndarray
    bad: dict[bytes, str]


def shown(path: bytes | str) -> str:
    """A path as one line of text, whatever bytes are in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def look_at_files(
    root: bytes, paths: Sequence[bytes], *, key: bytes, title: str
) -> tuple[Manifest, tuple[str, ...]]:
    """Read every header under `root` that is not known yet; the manifest, and notes.

    Files are known again by path, size and time of change. What was learned is kept in
    `cache_folder()` under the path `key`, also when the look is broken off; where it can't be kept,
    a note says so.
    """
    store = _store_of(key)
    known = _read(store)
    rows = np.zeros(len(paths), _ROW)
    bad: dict[bytes, str] = {}
    fresh: list[int] = []
    for number, path in enumerate(paths):
        try:
            found = os.stat(os.path.join(root, path))
        except OSError as error:
            bad[path] = _why(error)
            continue
        row = known.get((path, found.st_size, found.st_mtime_ns))
        if row is None:
            fresh.append(number)
        else:
            rows[number] = row
    changed = bool(fresh) or len(known) != len(paths) - len(bad)
    try:
        _look(root, paths, fresh, rows, bad, title)
    finally:
        good = np.flatnonzero(rows["height"] > 0).tolist()
        kept = [paths[number] for number in good]
        said = _write(store, kept, rows[good]) if changed else ()
    return Manifest(kept, rows[good], bad), said


def _look(
    root: bytes,
    paths: Sequence[bytes],
    fresh: list[int],
    rows: np.ndarray,
    bad: dict[bytes, str],
    title: str,
) -> None:
    """Fill `rows` and `bad` for the files `fresh`, in threads."""

    def look(numbers: list[int]) -> int:
        for number in numbers:
            try:
                rows[number] = _look_at(os.path.join(root, paths[number]))
            except BadImage as error:
                bad[paths[number]] = str(error)
            except OSError as error:
                bad[paths[number]] = _why(error)
        return len(numbers)

    pieces = [fresh[start : start + _PIECE] for start in range(0, len(fresh), _PIECE)]
    pool = ThreadPoolExecutor(_THREADS)
    try:
        with progress(title, len(fresh)) as advance:
            waiting: set[Future[int]] = {pool.submit(look, piece) for piece in pieces}
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


def _read(store: Path) -> dict[tuple[bytes, int, int], np.void]:
    """What an earlier start kept, by path, size and time; empty where it can't be used."""
    try:
        with np.load(store, allow_pickle=False) as file:
            if int(file["version"]) != _VERSION:
                return {}
            rows, paths = file["rows"], file["paths"].tobytes().split(b"\0")
    except Exception:  # a file of ours that is absent or broken in any way: look again
        return {}
    if rows.dtype != _ROW or len(rows) != len(paths):
        return {}
    keys = zip(paths, rows["size"].tolist(), rows["mtime"].tolist(), strict=True)
    return dict(zip(keys, rows, strict=True))


def _write(store: Path, paths: list[bytes], rows: np.ndarray) -> tuple[str, ...]:
    """Keep the manifest; whoever reads it meanwhile sees the old one or the new one."""
    partial = None
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=store.parent, suffix=".part", delete=False) as file:
            partial = file.name
            blob = np.frombuffer(b"\0".join(paths), np.uint8)
            np.savez(file, version=np.array(_VERSION), rows=rows, paths=blob)
        os.replace(partial, store)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        return (
            f"what was learned about the files could not be kept in {store.parent} "
            f"({_why(error)}): the next start reads all of them again; set KCNN_CACHE to a folder "
            "that can be written",
        )
    return ()
