"""Kinds of sources: each one file that registers itself here and says what it found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kcnn.data._record import DataError, Dataset, DataWarning
from kcnn.data._rows import Rows

if TYPE_CHECKING:
    from kcnn.preprocessing import Preprocessing

__all__ = [
    "LoadOptions",
    "Part",
    "Source",
    "SourceData",
    "as_path",
    "register_source",
    "source_of",
]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What `load` was asked for; see there.

    >>> LoadOptions(seed=3).val_fraction
    0.1
    """

    preprocessing: Preprocessing | None = None
    image_size: int | tuple[int, int] | None = None
    resize: str | None = None
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0
    group: str | None = None
    skip_bad: bool = False
    max_images: int | None = None
    flip: bool | None = None
    cache: str | None = "auto"
    class_names: Sequence[str] | None = None
    manual_dir: str | os.PathLike[str] | None = None
    data_dir: str | os.PathLike[str] | None = None
    root: str | os.PathLike[str] | None = None
    path_column: str | None = None
    label_column: str | Sequence[str] | None = None
    split_column: str | None = None
    label_separator: str | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """Images that a source keeps together ("train", "val" or "test").

    labels: int64 (n,), or float32 (n, classes) of zeros and ones.
    names: what messages call the images, text or bytes; hashes (n,): equal where the contents are;
        groups (n,): equal where images belong together and must not be torn apart.

    >>> Part(kcnn.data.Arrays(images), np.array([0, 1, 0, 1])).rows.image_shape
    (8, 8, 3)
    """

    rows: Rows
    labels: np.ndarray
    names: Sequence[str] | np.ndarray | None = None
    hashes: np.ndarray | None = None
    groups: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SourceData:
    """What a source found, before anything is split or decoded.

    `sizes` (n, 2) are heights and widths as shown, of all training images or of some; `flip` is
    whether a mirrored image keeps its class, where the source knows.

    >>> part = Part(kcnn.data.Arrays(images), np.array([0, 1, 0, 1]))
    >>> SourceData("four", {"train": part}, ["a", "b"], np.array([[8, 8]]), channels=3).name
    'four'
    """

    name: str
    parts: Mapping[str, Part]
    class_names: Sequence[str]
    sizes: np.ndarray
    channels: int
    flip: bool | None = None
    notes: Sequence[str] = ()
    warnings: Sequence[DataWarning] = ()
    fingerprint: str = ""

    def replace(self, **changes: Any) -> SourceData:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Source:
    """A kind of source: whether a given one is of this kind, and how it is looked at."""

    name: str
    matches: Callable[[Any], bool]
    load: Callable[[Any, LoadOptions], SourceData | Dataset]


def as_path(given: Any) -> Path | None:
    """`given` as a path, if it is text or a path and no name that stands for something else."""
    if isinstance(given, str | os.PathLike) and isinstance(os.fspath(given), str):
        return Path(given).expanduser()
    return None


_SOURCES: list[Source] = []


def register_source(
    name: str,
    *,
    matches: Callable[[Any], bool],
    load: Callable[[Any, LoadOptions], SourceData | Dataset],
) -> None:
    """Teach `kcnn.data.load` a new kind of source.

    `matches(source)` says whether what was given to `load` is of this kind; kinds registered later
    are asked first. `load(source, options)` looks at it and returns a `SourceData`: labels, names
    and where the images lie; splitting, preprocessing, checks and batches are the same for all.

    >>> def look(source, options):
    ...     part = Part(kcnn.data.Arrays(np.zeros((40, 8, 8, 3), np.uint8)), np.arange(40) % 2)
    ...     return SourceData("zeros", {"train": part}, ["a", "b"], np.array([[8, 8]]), channels=3)
    >>> register_source("zeros", matches=lambda source: source == "zeros", load=look)
    >>> kcnn.data.load("zeros").image_shape
    (8, 8, 3)
    """
    if any(source.name == name for source in _SOURCES):
        raise ValueError(f"register_source: a source {name!r} is registered already.")
    _SOURCES.insert(0, Source(name, matches, load))


def source_of(given: Any) -> Source:
    """The kind of source that `given` is; DataError if no kind takes it."""
    for source in _SOURCES:
        if source.matches(given):
            return source
    known = ", ".join(sorted(source.name for source in _SOURCES))
    raise DataError(f"load: {type(given).__name__} {given!r:.80} is no known source ({known}).")
