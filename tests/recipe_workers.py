"""Processes that share a search, one of which dies as in a power cut."""

import multiprocessing
import os
import time

from optuna.trial import TrialState

from kcnn.recipe import Parameter, Space
from kcnn.recipe.display import Display
from kcnn.recipe.shared_search import Phase, open_storage

__all__ = ["PLACES", "phase", "run_phase", "scored", "share_and_die"]

PLACES = 9
SPACE = Space({"x": Parameter(low=1e-3, high=1.0, log=True), "kind": ["a", "b", "c"]})


def scored(place, values, report):
    return {"train_loss": values["x"], "val_loss": values["x"], "val_accuracy": None, "epochs": 1}


def phase(storage, **changes):
    options = {"name": "s", "storage": storage, "space": SPACE, "trials": 6, "pruner": "none"}
    return Phase(**{**options, **changes})


def run_phase(given, train=scored):
    with Display().progress("search", given.trials) as bar:
        return given.run(train, bar)


def work_on(storage, log, dies, together, struck):
    """A worker process: notes each place it trains; one dies at its first."""

    def train(place, values, report):
        with open(log, "a") as file:
            file.write(f"{place}\n")
        if dies:
            struck.set()
            os.kill(os.getpid(), 9)
        struck.wait(60)
        time.sleep(0.1)
        return scored(place, values, report)

    given = phase(open_storage(storage, None), trials=PLACES)
    together.wait(120)
    run_phase(given, train)


def share_and_die(storage, log):
    """Three processes on one storage; every place is trained to its end once, one begun twice."""
    import optuna

    context = multiprocessing.get_context("spawn")
    together, struck = context.Barrier(3), context.Event()
    workers = [
        context.Process(target=work_on, args=(storage, log, dies, together, struck))
        for dies in (False, True, False)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, -9, 0]
    study = optuna.load_study(study_name="s", storage=open_storage(storage, None))
    done = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert sorted(t.user_attrs["place"] for t in done) == list(range(PLACES))
    assert len(log.read_text().split()) == PLACES + 1  # the one that was cut off, again
