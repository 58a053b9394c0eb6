"""Decoded and resized images are kept, so that no later epoch or run decodes them again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._home import cache_folder
from kcnn.data._memory import available_memory
from kcnn.data._record import DataError

__all__ = ["ImageCache", "clear_cache", "open_cache"]

MEMORY_SHARE = 0.4  # of the free memory that images may take: the model needs the rest
DISK_SHARE = 0.5  # of the free disk that all caches together may take, unless KCNN_CACHE_GB says
GIGABYTE = 10**9


def _folder() -> Path:
    return cache_folder() / "images"


class ImageCache:
    """Images of one shape and type by their place, in memory or in one file on disk.

    Images come in any order. A byte for each says whether it is there, and is written after the
    image, so a process that is killed leaves nothing wrong behind; processes that share a file
    write the same pixels. When the disk fills, what is there stays and the rest is not kept.
    """

    def __init__(
        self, keys: np.ndarray, shape: tuple[int, ...], where: Path | None, dtype: Any = np.uint8
    ):
        self._keys, self.where = np.unique(keys), where
        self._each = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self._broken = False
        if where is None:
            self._images = np.empty((len(self._keys), *shape), dtype)  # pages come when used
            self._have = np.zeros(len(self._keys), bool)
            return
        where.mkdir(parents=True, exist_ok=True)
        self._pixels = os.open(where / "pixels", os.O_RDWR | os.O_CREAT, 0o644)
        self._flags = os.open(where / "have", os.O_RDWR | os.O_CREAT, 0o644)
        flags = np.frombuffer(os.pread(self._flags, len(self._keys), 0), np.uint8)
        # A flag whose image lies behind the end of the file is a lie (a copied or cut folder).
        whole = os.fstat(self._pixels).st_size // self._each
        self._have = np.zeros(len(self._keys), bool)
        self._have[: len(flags)] = (flags == 1) & (np.arange(len(flags)) < whole)
        os.utime(where)  # the least recently used is removed first

    def __del__(self) -> None:
        if getattr(self, "where", None) is not None:
            for name in ("_pixels", "_flags"):
                if hasattr(self, name):
                    os.close(getattr(self, name))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def size(self) -> int:
        """Bytes, when all images are in it."""
        return len(self._keys) * self._each

    @property
    def filled(self) -> int:
        """Images in it."""
        return int(self._have.sum())

    def describe(self) -> str:
        """One sentence for a data set's notes."""
        place = "in memory" if self.where is None else f"in {self.where}"
        there = f", {self.filled} of {len(self)} images are there" if self.filled else ""
        return f"decoded images are kept {place} (up to {self.size / GIGABYTE:.2f} GB){there}"

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Where the images of these files, or of these elements of a stream, belong, int64."""
        return np.searchsorted(self._keys, keys)

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Which images are there, bool."""
        return self._have[places]

    def write(self, places: np.ndarray, images: np.ndarray) -> None:
        """Keep images (k, h, w, c) at their places."""
        if self.where is None:
            self._images[places] = images
            self._have[places] = True
            return
        if self._broken:
            return
        try:
            for place, image in zip(places.tolist(), images, strict=True):
                self._put(self._pixels, image.tobytes(), place)
            for place in places.tolist():
                self._put(self._flags, b"\1", place)
            self._have[places] = True
        except OSError as error:
            self._broken = True
            warnings.warn(
                f"{self.where}: no more decoded images are kept ({error.strerror}); the training "
                "goes on and decodes the others anew. Make room, or set KCNN_CACHE to a folder on "
                "another disk.",
                stacklevel=2,
            )

    @staticmethod
    def _put(file: int, data: bytes, place: int) -> None:
        start, done = place * len(data), 0
        while done < len(data):
            done += os.pwrite(file, data[done:], start + done)

    def read(self, places: np.ndarray, out: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fill `out[rows]` with the images at `places`; which of them were there, bool."""
        have = self._have[places]
        if self.where is None:
            out[rows[have]] = self._images[places[have]]
            return have
        for number in np.flatnonzero(have).tolist():
            view = memoryview(out[rows[number]]).cast("B")
            start = int(places[number]) * self._each
            have[number] = os.preadv(self._pixels, [view], start) == self._each
        return have


def _limit() -> int:
    """Bytes that all image caches on disk may take."""
    given = os.environ.get("KCNN_CACHE_GB")
    if given is not None:
        try:
            return int(float(given) * GIGABYTE)
        except ValueError:
            raise DataError(
                f"KCNN_CACHE_GB={given!r} is not a number of gigabytes; give one, or 0 for none."
            ) from None
    folder = _folder()
    while not folder.exists():
        folder = folder.parent
    return int(DISK_SHARE * (shutil.disk_usage(folder).free + _used(_folder())))


def _used(folder: Path) -> int:
    """Bytes on disk below a folder."""
    found = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                found += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:  # another process removes it
                continue
    return found


def _make_room(folder: Path, need: int, limit: int) -> int:
    """Remove the caches that were not used for longest until `need` fits; how many went."""
    others = [entry for entry in folder.parent.glob("*") if entry != folder]
    others.sort(key=lambda entry: entry.stat().st_mtime)
    sizes = [_used(entry) for entry in others]
    gone = 0
    while others[gone:] and sum(sizes[gone:]) + need > limit:
        shutil.rmtree(others[gone], ignore_errors=True)
        gone += 1
    return gone


def open_cache(
    kind: str | None,
    keys: np.ndarray,
    preprocessing: Any,
    *,
    fingerprint: str,
    name: str,
    dtype: Any = np.uint8,
) -> tuple[ImageCache | None, tuple[str, ...]]:
    """A cache for the images of `keys`, and notes that say where it is or why there is none.

    kind: "memory", "disk", "auto" (disk, which also serves the next run, if all images fit there;
        else memory, if they fit there; else none) or None.
    fingerprint: of the data; with that of the preprocessing it decides which images are the same.
    """
    if kind not in (None, "auto", "memory", "disk"):
        raise DataError(f"cache={kind!r} is none of 'auto', 'memory', 'disk' and None.")
    if kind is None:
        return None, ()
    shape = preprocessing.image_shape
    need = len(keys) * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    reasons = []
    if kind in ("auto", "disk"):
        key = hashlib.sha256(f"{fingerprint} {preprocessing.pixels.fingerprint} ".encode())
        key.update(np.unique(keys).tobytes())
        folder = _folder() / key.hexdigest()[:32]
        limit = _limit()
        if need <= limit:
            try:
                gone = _make_room(folder, need, limit)
                cache = ImageCache(keys, shape, folder, dtype)
                about = {"name": name, "images": len(keys), "shape": shape}
                (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
            except OSError as error:
                reasons.append(f"{folder} can't be written ({error.strerror})")
            else:
                removed = (f"{gone} older caches were removed to make room",) if gone else ()
                return cache, (cache.describe(), *removed)
        else:
            reasons.append(f"{limit / GIGABYTE:.1f} GB of disk may be used (see KCNN_CACHE_GB)")
    if kind in ("auto", "memory"):
        free = available_memory()
        if free is None or need <= MEMORY_SHARE * free:
            cache = ImageCache(keys, shape, None, dtype)
            return cache, (cache.describe(),)
        reasons.append(f"{free / GIGABYTE:.1f} GB of memory is free")
    why = " and ".join(reasons)
    return None, (
        f"decoded images would take {need / GIGABYTE:.1f} GB, but {why}: they are decoded anew in "
        "every epoch",
    )


def clear_cache() -> int:
    """Remove the decoded images of all data sets from disk; returns the bytes that became free.

    >>> clear_cache() >= 0
    True
    """
    folder = _folder()
    size = _used(folder)
    if folder.exists():
        shutil.rmtree(folder)
    return size
