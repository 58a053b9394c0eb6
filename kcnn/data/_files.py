"""What folders and tables have in common: files with labels, looked at through the manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kcnn.data._manifest import find, look_at_files, shown
from kcnn.data._record import DataError
from kcnn.data._rows import Files
from kcnn.data._source import LoadOptions, Part, SourceData

__all__ = ["Listed", "find_files"]

_NAMED = 3  # files that an error names


@dataclass(frozen=True, eq=False)
class Listed:
    """Files of one part: paths relative to the root, labels and perhaps groups, one for each."""

    paths: np.ndarray  # of bytes
    labels: np.ndarray
    groups: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> Listed:
        """The files `chosen` alone."""
        groups = None if self.groups is None else self.groups[chosen]
        return Listed(self.paths[chosen], self.labels[chosen], groups)


def find_files(
    root: bytes,
    listed: dict[str, Listed],
    class_names: Sequence[str],
    options: LoadOptions,
    *,
    name: str,
    key: bytes,
    bad: Mapping[bytes, str] | None = None,
    notes: Sequence[str] = (),
) -> SourceData:
    """Look at the files of all parts; those that are `bad`, or turn out to be, are named.

    What is learned is kept under `key`, the path of the source.
    """
    every = np.unique(np.concatenate([part.paths for part in listed.values()]))
    manifest, said = look_at_files(root, every, key=key, title=f"Looking at {name}")
    notes = [*notes, *said]
    bad = {**(bad or {}), **manifest.bad}
    if bad:
        if not options.skip_bad:
            raise DataError(_refusal(root, bad, len(every)))
        notes.append(f"{len(bad)} files or folders can't be used and are left out: {_some(bad)}")
        if not len(manifest.paths):
            raise DataError(f"{shown(root)}: no file is left that can be used: {_some(bad)}.")
    parts, used = {}, []
    for part, files in listed.items():
        at, there = find(manifest.paths, files.paths)
        used.append(manifest.rows[at[there]])
        listed[part] = files.take(there)
        parts[part] = _part(root, listed[part], used[-1])
    rows = np.concatenate(used)
    channels = 3 if (rows["channels"] > 1).any() else 1
    for what, images in (
        ("no colour: read as RGB", (rows["channels"] == 1) & (channels == 3)),
        ("an EXIF orientation: turned upright", rows["orientation"] > 1),
        ("transparency: put on white", rows["alpha"]),
        ("16 bits: the upper 8 are used", rows["bits"] > 8),
    ):
        if images.any():
            notes.append(f"{int(images.sum())} of {len(rows)} images have {what}")
    return SourceData(
        name=name,
        parts=parts,
        class_names=class_names,
        sizes=np.stack([rows["height"], rows["width"]], axis=1),
        channels=channels,
        notes=notes,
        fingerprint=_fingerprint(parts, listed, class_names),
    )


def _part(root: bytes, files: Listed, rows: np.ndarray) -> Part:
    return Part(
        Files(
            np.char.add(os.path.join(root, b""), files.paths),
            rows["height"],
            rows["width"],
            np.char.decode(rows["format"], "ascii"),
            rows["orientation"],
        ),
        files.labels,
        names=files.paths,
        hashes=rows["hash"],
        groups=files.groups,
    )


def _some(bad: dict[bytes, str]) -> str:
    named = "; ".join(f"{shown(path)} ({bad[path]})" for path in sorted(bad)[:_NAMED])
    return named + ("; ..." if len(bad) > _NAMED else "")


def _refusal(root: bytes, bad: dict[bytes, str], files: int) -> str:
    return (
        f"{shown(root)}: {len(bad)} of {files} files can't be used: {_some(bad)}; repair or remove "
        "them, or go on without them by skip_bad=True."
    )


def _fingerprint(
    parts: dict[str, Part], listed: dict[str, Listed], class_names: Sequence[str]
) -> str:
    """A hash over part, path, content and label of every file, whatever their order."""
    digest = hashlib.blake2b("\0".join(class_names).encode(), digest_size=16)
    for part in sorted(parts):
        hashes, labels = parts[part].hashes, parts[part].labels
        assert hashes is not None
        digest.update(part.encode())
        for i in np.argsort(listed[part].paths, kind="stable").tolist():
            digest.update(b"\0".join([listed[part].paths[i], hashes[i].tobytes()]))
            digest.update(labels[i].tobytes())
    return digest.hexdigest()
