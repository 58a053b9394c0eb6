"""A fixed number of trials that any number of workers share: none run twice, none lost."""

import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

__all__ = ["TrialQueue", "Watch", "gone", "this_worker"]

BEAT = 10.0  # seconds between two signs of life of a worker
PATIENCE = 6 * BEAT  # without a sign, until a worker out of sight is given up
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class TrialQueue:
    """Numbered places in an Optuna study, each to be filled by one trial.

    A place is an enqueued trial with its number as an attribute; Optuna's storages give each
    to one worker only. A worker that ended leaves its trial running: whoever sees it marks it as
    failed and queues the place again with the same parameters. Should two do so at the same
    time, the trial that is first in the storage counts and the other one is dropped.
    """

    def __init__(self, study: optuna.Study, *, beat: float = BEAT, patience: float = PATIENCE):
        self.study = study
        self._beat = beat
        self._watch = Watch(patience)
        self._me = this_worker()

    def offer(self, places: Sequence[Mapping[str, Any] | None]) -> bool:
        """Queue the first place that nobody has; with parameters where given or drawn before.

        One at a time, so that a place to be filled again comes before those after it.
        Returns whether there is a trial to take.
        """
        if any(trial.state == TrialState.WAITING for trial in self._trials()):
            return True
        owners = self.owners()
        known = [trial for trial in self._trials() if trial.user_attrs.get("drawn")]
        drawn = {trial.user_attrs.get("place"): trial.params for trial in known}
        for place, fixed in enumerate(places):
            if place not in owners:
                params = dict(fixed or drawn.get(place) or {})
                self.study.enqueue_trial(params, user_attrs={"place": place})
                return True
        return False

    def owners(self) -> dict[int, FrozenTrial]:
        """By place the trial that counts there: the first that has not failed."""
        found: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            place = trial.user_attrs.get("place")
            if place is not None and trial.state != TrialState.FAIL:
                found.setdefault(place, trial)
        return found

    def ended(self) -> dict[int, FrozenTrial]:
        """By place the trials that are done, diverged and pruned ones included."""
        return {p: t for p, t in self.owners().items() if t.state in ENDED}

    def take(self) -> optuna.Trial | None:
        """The next trial for this worker; None when others were faster."""
        trial = self.study.ask()
        place = trial.user_attrs.get("place")
        if place is None or self.owners()[place].number != trial.number:
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        trial.set_user_attr("worker", self._me)
        return trial

    def give_up_dead(self) -> int:
        """Mark the trials of workers that are gone as failed; how many there were."""
        count = 0
        for trial in self._trials():
            if trial.state != TrialState.RUNNING or not self._dead(trial):
                continue
            try:
                self.study.tell(trial.number, state=TrialState.FAIL)
                count += 1
            except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
                continue  # it has ended meanwhile, or another worker was faster
        return count

    def drawn(self, trial: optuna.Trial) -> None:
        """Say that all parameters of a trial are drawn: tried again, it will have the same."""
        trial.set_user_attr("drawn", True)

    @contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Give signs of life while the block runs; warns where that was in vain."""
        done = threading.Event()
        failed: list[Exception] = []

        def beat() -> None:
            number = 0
            while not done.wait(self._beat):
                number += 1
                try:
                    trial.set_user_attr("beat", number)
                except Exception as error:  # of any storage; it may be there again the next time
                    failed.append(error)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            if failed:
                warnings.warn(
                    f"{len(failed)} signs of life of trial {trial.number} could not be given "
                    f"({failed[-1]}): another worker may have taken it up.",
                    stacklevel=2,
                )

    def _dead(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get("worker", {})
        if worker == self._me:
            return True  # cut off earlier in this process, which looks only between its trials
        known = gone(worker)
        if known is not None:
            return known
        return self._watch.stale(trial.number, trial.user_attrs.get("beat"))

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def this_worker() -> dict[str, Any]:
    """This process: where it runs, its number there, and when it began."""
    return {"host": socket.gethostname(), "place": _place(), "pid": os.getpid(), "began": _began()}


def gone(worker: dict[str, Any]) -> bool | None:
    """Whether the process has ended; None where it can't be seen from here."""
    if not worker or worker.get("place") != _place():
        return None
    pid = int(worker.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's: it is there
    # The number may have been given anew; and a process that nobody has waited for is a zombie.
    return _began(pid) != worker.get("began")


class Watch:
    """Tells which of the others' signs of life have stopped.

    Only the own clock counts: a sign is stale when it has not changed for `patience` seconds
    of watching, whatever time other machines believe it is.
    """

    def __init__(self, patience: float):
        self.patience = patience
        self._seen: dict[Any, tuple[Any, float]] = {}

    def stale(self, key: Any, sign: Any) -> bool:
        """Whether this sign of `key` has been the same for too long."""
        before, since = self._seen.get(key, (None, 0.0))
        now = time.monotonic()
        if key not in self._seen or before != sign:
            self._seen[key] = (sign, now)
            return False
        return now - since > self.patience


def _place() -> str:
    """The running system and process namespace that process numbers belong to."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(pid: int | str = "self") -> str:
    """Start of a process in the system's ticks; "" where it has ended or the system is silent."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
