"""Which versions of the model are served: the folder is watched, the newest one loaded."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kcnn_server.errors import BadRequest, NotFound
from kcnn_server.runtime import Model, load_model

__all__ = ["VersionState", "Versions"]

Stamp = tuple[int, ...]  # changes when a version's files do


@dataclass(frozen=True)
class VersionState:
    """What TensorFlow Serving's status says about a version."""

    version: int
    state: str  # LOADING, AVAILABLE or END
    error: str = ""


class Versions:
    """The loaded versions of one model.

    The newest version that loads answers; labelled ones stay loaded beside it. A version that
    does not load is remembered with its error and tried again once its files change.
    Replaced versions answer the requests that hold them and go then.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        labels: dict[str, int],
        threads: int,
        report: Callable[..., None],
    ):
        self.folder, self.name, self.labels = folder, name, labels
        self._threads, self._report = threads, report
        self._loaded: dict[int, Model] = {}
        self._stamps: dict[int, Stamp] = {}
        self._broken: dict[int, tuple[Stamp, str]] = {}
        self._loading: int | None = None
        self._gone: dict[int, VersionState] = {}
        self._stop = threading.Event()
        self.newest: Model | None = None

    def watch(self, every_s: float) -> None:
        """Look at the folder again and again, until `stop`."""
        while not self._stop.is_set():
            try:
                self.update()
            except OSError as error:  # the folder is away for now; what is loaded goes on
                self._report("folder_unreadable", folder=str(self.folder), error=str(error))
            self._stop.wait(every_s)

    def stop(self) -> None:
        self._stop.set()

    def update(self) -> None:
        """Load what should be loaded and is not, then let go of what should not be."""
        before = list(map(id, self._loaded.values()))  # holds none of them
        there = _versions_in(self.folder)
        wanted = [v for v in set(self.labels.values()) if v in there]
        for version in wanted:
            self._ensure(version, there[version])
        for version in sorted(there, reverse=True):
            if self._ensure(version, there[version], newest=True):
                self.newest = self._loaded[version]
                wanted.append(version)
                break
        else:
            if self.newest is not None:  # nothing newer to answer with: it stays
                wanted.append(self.newest.version)
        for version in [v for v in self._loaded if v not in wanted]:
            self._unload(version)
        for version in [v for v in self._broken if v not in there]:
            del self._broken[version]
        if before and before != list(map(id, self._loaded.values())):
            _let_go()

    def _ensure(self, version: int, stamp: Stamp, *, newest: bool = False) -> bool:
        """Whether the version is loaded as its files are now, after loading it if need be.

        It answers as the `newest` before it is reported.
        """
        if self._stamps.get(version) == stamp and version in self._loaded:
            return True
        if self._broken.get(version, (None,))[0] == stamp or self._stop.is_set():
            return version in self._loaded
        started = time.perf_counter()
        self._loading = version
        try:
            model = load_model(self.folder / str(version), version, threads=self._threads)
        except Exception as error:  # whatever a foreign folder holds must not end the server
            message = _told(error)
            self._broken[version] = (stamp, message)
            self._report("model_broken", version=version, error=message)
            return version in self._loaded
        finally:
            self._loading = None
        replaced = self._loaded.get(version)
        self._loaded = {**self._loaded, version: model}  # readers see the old dict or the new one
        self._stamps[version] = stamp
        self._broken.pop(version, None)
        self._gone.pop(version, None)
        if newest or (replaced is not None and self.newest is replaced):
            self.newest = model
        if replaced is not None:
            replaced.retire()
        seconds = round(time.perf_counter() - started, 3)
        self._report("model_loaded", version=version, seconds=seconds)
        return True

    def _unload(self, version: int) -> None:
        model = self._loaded[version]
        self._loaded = {v: m for v, m in self._loaded.items() if v != version}
        self._gone[version] = VersionState(version, "END")
        model.retire()
        self._report("model_unloaded", version=version)

    def find(self, version: int | None = None, label: str | None = None) -> Model:
        """The model that answers; NotFound or BadRequest in TensorFlow Serving's words."""
        if label is not None:
            if label not in self.labels:
                raise BadRequest(f"Unrecognized servable version label: {label}")
            version = self.labels[label]
        model = self.newest if version is None else self._loaded.get(version)
        if model is None:
            which = (
                f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"
            )
            raise NotFound(f"Servable not found for request: {which}")
        return model

    def states(self) -> list[VersionState]:
        """Every version that is known, newest first."""
        states = dict(self._gone)
        for version, (_, message) in self._broken.items():
            states[version] = VersionState(version, "END", message)
        for version in self._loaded:
            states[version] = VersionState(version, "AVAILABLE")
        loading = self._loading
        if loading is not None and loading not in self._loaded:
            states[loading] = VersionState(loading, "LOADING")
        return [states[v] for v in sorted(states, reverse=True)]


def _let_go() -> None:
    """Free what a replaced version left; the rest need not be looked at again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _versions_in(folder: Path) -> dict[int, Stamp]:
    """Number and stamp of every sub-folder that is a version; a lone SavedModel is version 1."""
    if (folder / "saved_model.pb").is_file():
        raise ValueError(
            f"{folder} is a SavedModel itself; serve the folder above it, which holds one "
            "sub-folder per version."
        )
    found = {}
    for entry in folder.iterdir():
        if entry.name.isascii() and entry.name.isdigit() and len(entry.name) < 19:
            stamp = _stamp(entry)
            if stamp is not None:
                found[int(entry.name)] = stamp
    return found


def _stamp(folder: Path) -> Stamp | None:
    """Times and sizes of the files that a version consists of; None while there is no graph."""
    try:
        graph = (folder / "saved_model.pb").stat()
        parts = [graph.st_mtime_ns, graph.st_size, graph.st_ino]
        for file in sorted((folder / "variables").glob("variables.*")):
            state = file.stat()
            parts += [state.st_mtime_ns, state.st_size]
    except OSError:
        return None
    return tuple(parts)
