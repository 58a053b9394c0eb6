"""The search's trials: drawn by Optuna, trained here, shared with whoever else works on them."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from kcnn.recipe.clock import Clock
from kcnn.recipe.display import Bar
from kcnn.recipe.files import jsonable
from kcnn.recipe.settings import RecipeError, first_line
from kcnn.recipe.space import Space
from kcnn.recipe.trial_queue import TrialQueue

__all__ = ["ABOUT", "Phase", "announce", "open_storage", "storage_errors"]

ABOUT = "kcnn run"  # attribute of a study with what a worker has to know of the run

KEPT = "Finished trials are kept; go on with --resume when it is back."

POLL = 1.0  # seconds between looks at the others' trials
STARTUP = 3  # finished trials before the pruner and TPE judge by them
WARMUP_LOOKS = 1  # validation scores of a trial before it may be pruned

Train = Callable[[int, dict[str, Any], "Report"], dict[str, Any]]


class Report(keras.callbacks.Callback):
    """Tells Optuna the validation loss of each epoch, and ends a training that is not promising."""

    def __init__(self, trial: optuna.Trial):
        super().__init__()
        self.trial = trial
        self.pruned = False

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("val_loss", math.nan)
        if not math.isfinite(loss):
            return
        self.trial.report(float(loss), epoch)
        if self.trial.should_prune():
            self.pruned = True
            self.model.stop_training = True


@dataclass(frozen=True)
class Phase:
    """A number of trials in one space, in one study of a storage.

    Attributes:
        name: of the study.
        storage: that all workers reach.
        space: with no parameter that is relative any more.
        trials: how many.
        sampler: "random", "grid" or "tpe".
        pruner: "median", "asha" or "none".
        seed: of the search.
        first: values of the first trial (not in a grid).
    """

    name: str
    storage: Any
    space: Space
    trials: int
    sampler: str = "random"
    pruner: str = "median"
    seed: int = 0
    first: Mapping[str, Any] | None = None

    def run(self, train: Train, bar: Bar, *, until: float | None = None) -> list[dict[str, Any]]:
        """Work until all trials have ended, here or elsewhere; their rows in order.

        `until`, on the clock of `Clock.now`: begin no trial after it, but one at least.
        """
        study = _study(self.storage, self.name, _pruner(self.pruner))
        queue = TrialQueue(study)
        places = self._places()
        while True:
            queue.give_up_dead()
            ended = queue.ended()
            bar.show(len(ended), _note(ended.values()))
            if len(ended) >= len(places):
                break
            if ended and until is not None and Clock.now() > until:
                break
            trial = queue.take() if queue.offer(places) else None
            if trial is None:
                time.sleep(POLL)
                continue
            with queue.alive(trial):
                self._run_trial(study, queue, trial, train)
        return [_row(place, trial) for place, trial in sorted(queue.ended().items())]

    def _run_trial(self, study, queue: TrialQueue, trial: optuna.Trial, train: Train) -> None:
        place = trial.user_attrs["place"]
        # Seeded by the trial's place: tried again, it draws what it would have drawn.
        study.sampler = self._sampler(self.seed * 1009 + place)
        values = self.space.suggest(trial)
        queue.drawn(trial)
        report = Report(trial)
        began = Clock.now()
        row = train(place, values, report)
        row["seconds"] = round(Clock.now() - began, 2)
        loss = row["val_loss"]
        diverged = loss is None or not math.isfinite(loss) or not math.isfinite(row["train_loss"])
        row["state"] = "diverged" if diverged else "pruned" if report.pruned else "finished"
        trial.set_user_attr("row", jsonable(row))
        trial.set_user_attr("values", jsonable(values))
        if row["state"] == "finished":
            study.tell(trial, loss)
        else:
            study.tell(trial, state=TrialState.PRUNED)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self.sampler != "tpe":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)

    def _places(self) -> list[Mapping[str, Any] | None]:
        if self.sampler == "grid":
            cells = list(_cells(self.space))
            order = np.random.default_rng(self.seed).permutation(len(cells))
            return [cells[i] for i in order[: self.trials]]
        return [self.first, *[None] * (self.trials - 1)][: self.trials]


def announce(storage: Any, name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Tell workers that a search begins, under the name of its first phase; what they are told.

    That is `about`, or what an earlier sitting of the run has told them.
    """
    study = _study(storage, name)
    if ABOUT not in study.user_attrs:
        study.set_user_attr(ABOUT, dict(about))
    return dict(study.user_attrs[ABOUT])


@contextmanager
def storage_errors(storage: Any, then: str = KEPT) -> Iterator[None]:
    """Turn a storage that is not there, or goes away, into a line for people; `then` ends it."""
    try:
        yield
    except Exception as error:
        names = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
        if names & {"sqlalchemy", "psycopg2", "psycopg"} or isinstance(
            error, (optuna.exceptions.StorageInternalError, ImportError)
        ):
            raise RecipeError(
                f"The storage {storage} can't be used: {first_line(error).rstrip('.')}. {then}"
            ) from error
        raise


def open_storage(storage: str | None, folder: Path) -> Any:
    """The storage of a URL, or of a journal file: by default one in the run's folder.

    Raises:
        RecipeError: it can't be reached.
    """
    if storage is not None and "://" in storage:
        with storage_errors(storage, "Start it, or give another --storage."):
            return optuna.storages.RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = Path(storage) if storage else folder / "search.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(str(path))
    return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _study(storage: Any, name: str, pruner: Any = None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize",
        pruner=pruner,
        load_if_exists=True,
    )


def _pruner(name: str) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARMUP_LOOKS)
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    return optuna.pruners.NopPruner()


def _cells(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination of the grid's values whose conditions hold, each once."""
    seen = set()
    names = list(space)
    for combination in itertools.product(*(space[name].grid() for name in names)):
        values = dict(zip(names, combination, strict=True))
        kept = space.only_active(values)
        key = tuple(sorted((k, repr(v)) for k, v in kept.items()))
        if key not in seen:
            seen.add(key)
            yield kept


def _row(place: int, trial: FrozenTrial) -> dict[str, Any]:
    row = trial.user_attrs["row"]
    return {"number": place, "hp": trial.user_attrs["values"], **row}


def _note(trials: Any) -> str:
    values = [t.value for t in trials if t.state == TrialState.COMPLETE]
    if not values:
        return ""
    return f"best validation loss {min(values):.3f}"
