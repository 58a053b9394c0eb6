"""The image files below a folder, with whatever a file system can hold: links, loops, odd names."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

from kcnn.data._manifest import shown
from kcnn.data._record import DataError

__all__ = ["SUFFIXES", "Walk"]

# What counts as meant to be an image; formats that are not read are among them, and named.
_IMAGES = "bmp gif jfif jpe jpeg jpg png webp"
_OTHERS = "avif heic heif jp2 pbm pgm pnm ppm tif tiff"
SUFFIXES = frozenset(f".{kind}".encode() for kind in f"{_IMAGES} {_OTHERS}".split())


@dataclass
class Walk:
    """Walks folders below `root`; `skipped` counts what was left out, `bad` says why it can't be.

    All paths are bytes relative to `root`, sorted: names need not be text.
    """

    root: bytes
    skip_bad: bool = False
    skipped: Counter[str] = field(default_factory=Counter)
    bad: dict[bytes, str] = field(default_factory=dict)

    def folders(self, at: bytes = b"") -> list[bytes]:
        """Names of the folders in `at`, hidden ones left out."""
        return [name for name, is_folder in self._entries(at) if is_folder and not _hidden(name)]

    def loose(self, at: bytes = b"") -> list[bytes]:
        """Names of the files in `at`."""
        return [name for name, is_folder in self._entries(at) if not is_folder]

    def images(self, at: bytes) -> list[bytes]:
        """Paths of all images in `at` and below."""
        found: list[bytes] = []
        self._images(at, (), found)
        return found

    def _images(self, at: bytes, above: tuple[tuple[int, int], ...], found: list[bytes]) -> None:
        state = os.stat(os.path.join(self.root, at))
        here = (state.st_dev, state.st_ino)
        if here in above:
            self._cannot(at, "a link back to a folder above it; remove the link")
            return
        for name, is_folder in self._entries(at):
            path = os.path.join(at, name)
            if is_folder and not _hidden(name):
                self._images(path, (*above, here), found)
            elif _hidden(name):
                self.skipped["hidden"] += 1
            elif os.path.splitext(name)[1].lower() not in SUFFIXES:
                self.skipped["not images"] += 1
            else:
                found.append(path)

    def _entries(self, at: bytes) -> list[tuple[bytes, bool]]:
        """(name, whether it is a folder) of everything in `at`, in the order of the bytes."""
        try:
            with os.scandir(os.path.join(self.root, at)) as entries:
                return sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            self._cannot(at, f"this folder can't be read ({reason}); change its rights")
            return []

    def _cannot(self, at: bytes, why: str) -> None:
        if not self.skip_bad:
            where = shown(os.path.join(self.root, at))
            raise DataError(f"{where}: {why}, or go on without it by skip_bad=True.")
        self.bad[at] = why


def _hidden(name: bytes) -> bool:
    return name.startswith((b".", b"__"))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
