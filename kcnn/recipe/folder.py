"""The folder of a run: one process at a time, one file a fact, never half a file."""

import os
import shutil
import socket
import uuid
from pathlib import Path
from typing import IO, Any

from kcnn.recipe.files import jsonable, read_json, write_json
from kcnn.recipe.identity import check_same
from kcnn.recipe.settings import RecipeError

__all__ = ["RunFolder", "network_of"]

LOCK = ".lock"


class RunFolder:
    """Where a run keeps its results.

    `state/identity.json` says what the run is and is there before the first step; `state/` holds
    one file per finished step and what a resumed step goes on from, and goes when the run is
    finished. `result.json` is the record for readers, written anew after each step.

    Use it as a context: it holds the folder's lock meanwhile.

    Raises:
        RecipeError: another process has the folder; it has content and neither `resume` nor
            `overwrite` was asked; `overwrite` on a folder that holds no run; `resume` of a run
            that was another one (data, model, settings), with what changed.
    """

    def __init__(self, path: str | Path, *, resume: bool = False, overwrite: bool = False):
        if resume and overwrite:
            raise RecipeError("resume and overwrite exclude each other; give one of them.")
        self.path = Path(path)
        self.state = self.path / "state"
        self.result_path = self.path / "result.json"
        self._resume, self._overwrite = resume, overwrite
        self._lock: IO[str] | None = None

    def __enter__(self) -> "RunFolder":
        if self.path.exists() and not self.path.is_dir():
            raise RecipeError(f"The run folder {self.path} is a file; give another --out.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / LOCK)
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            self._lock.close()  # lets the lock go; the file stays, or two could hold one each
            self._lock = None
        if self.path.is_dir() and {p.name for p in self.path.iterdir()} <= {LOCK}:
            shutil.rmtree(self.path, ignore_errors=True)  # nothing came of it

    def _prepare(self) -> None:
        content = {p.name for p in self.path.iterdir()} - {LOCK}
        if not content:
            return
        if not (self._resume or self._overwrite):
            raise RecipeError(
                f"The run folder {self.path} is not empty. Go on with --resume, start afresh "
                "with --overwrite, or give another --out."
            )
        if not content & {"state", "result.json"}:
            raise RecipeError(
                f"The folder {self.path} holds files but no run of kcnn, so it is left alone. "
                "Give another --out."
            )

    def claim(self, identity: dict[str, Any]) -> str:
        """Make the folder this run's, or check that it is the same run that goes on; its id."""
        if self._overwrite:
            self._clear()
        before = self._read(self.state / "identity.json")
        if before is None:
            before = {"id": uuid.uuid4().hex[:12], "identity": jsonable(identity)}
            (self.state / "steps").mkdir(parents=True, exist_ok=True)
            write_json(self.state / "identity.json", before)
        check_same(before["identity"], jsonable(identity), f"The run in {self.path}")
        return before["id"]

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.name != LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def record(self) -> dict[str, Any] | None:
        """The record as it was last written, None if there is none."""
        return self._read(self.result_path)

    def step(self, name: str) -> dict[str, Any] | None:
        """What a finished step left, or None."""
        return self._read(self.state / "steps" / f"{name}.json")

    def keep_step(self, name: str, kept: dict[str, Any]) -> None:
        """Write down a finished step."""
        write_json(self.state / "steps" / f"{name}.json", kept)

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record in one move."""
        write_json(self.result_path, record)

    def clear_state(self) -> None:
        """Remove what only an unfinished run needs."""
        shutil.rmtree(self.state, ignore_errors=True)

    def _read(self, path: Path) -> Any:
        try:
            return read_json(path)
        except ValueError as error:
            raise RecipeError(
                f"{path} is damaged ({error}). Start afresh with --overwrite."
            ) from None


def network_of(path: Path) -> str | None:
    """The name of the network that the run there was begun with, None where that is not known."""
    for file in (path / "state" / "identity.json", path / "result.json"):
        try:
            return str(read_json(file)["identity"]["model"]["source"]).split(" (")[0] or None
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _locked(path: Path) -> IO[str]:
    """The lock file, open and held; whoever holds it is named in it."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return path.open("a+")
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise RecipeError(
            f"The run folder {path.parent} is in use by {holder}. Wait for it, join its search "
            "with --worker, or give another --out."
        ) from None
    file.seek(0)
    file.truncate()
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file
