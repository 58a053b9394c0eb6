"""The search's trials: shared, none twice, none lost, and those of the dead taken up again."""

import subprocess
import sys
import time
from pathlib import Path

import keras
import optuna
import pytest
from recipe_workers import phase, run_phase, scored, share_and_die

from kcnn.recipe import RecipeError
from kcnn.recipe.shared_search import open_storage, storage_errors
from kcnn.recipe.trial_queue import TrialQueue, Watch, gone, this_worker


def study_of(storage, name="s"):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(storage=storage, study_name=name, load_if_exists=True)


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_the_same_seed_gives_the_same_trials_also_after_a_cut(tmp_path, sampler):
    """The fourth trial is cut off while it trains; the search is then taken up again."""
    whole = run_phase(phase(open_storage(None, tmp_path / "a"), sampler=sampler))

    def cut(place, values, report):
        if place == 3:
            raise KeyboardInterrupt
        return scored(place, values, report)

    given = phase(open_storage(None, tmp_path / "b"), sampler=sampler)
    with pytest.raises(KeyboardInterrupt):
        run_phase(given, cut)
    again = run_phase(phase(open_storage(None, tmp_path / "b"), sampler=sampler))
    plain = [[{**row, "seconds": 0} for row in rows] for rows in (whole, again)]
    assert plain[0] == plain[1]
    assert [row["number"] for row in again] == list(range(6))
    assert len({repr(row["hp"]) for row in again}) == 6


def test_a_grid_holds_every_combination_once():
    rows = run_phase(phase(optuna.storages.InMemoryStorage(), sampler="grid", trials=50))
    assert len(rows) == 9
    assert {row["hp"]["kind"] for row in rows} == {"a", "b", "c"}


def test_diverged_and_pruned_trials_end_and_are_never_best():
    def train(place, values, report):
        loss = [0.5, float("nan"), 0.7, 0.6, 0.55, 9.0][place]
        for epoch in range(3):
            report.set_model(keras.Sequential())
            report.on_epoch_end(epoch, {"val_loss": loss})
        return {"train_loss": loss, "val_loss": loss, "val_accuracy": None, "epochs": 3}

    given = phase(optuna.storages.InMemoryStorage(), pruner="median")
    states = [row["state"] for row in run_phase(given, train)]
    assert states == ["finished", "diverged", "finished", "finished", "finished", "pruned"]


def test_a_place_queued_twice_is_run_once():
    study = study_of(optuna.storages.InMemoryStorage())
    queue = TrialQueue(study)
    for place in (0, 1, 0, 1):  # two workers that saw an empty study at the same time
        study.enqueue_trial({}, user_attrs={"place": place})
    taken = [queue.take() for _ in range(4)]
    assert [t.user_attrs["place"] for t in taken if t] == [0, 1]
    assert not queue.offer([None, None])


def test_the_running_trial_of_another_live_process_is_left_alone():
    study = study_of(optuna.storages.InMemoryStorage())
    queue = TrialQueue(study)
    queue.offer([None])
    trial = queue.take()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        began = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        trial.set_user_attr("worker", {**this_worker(), "pid": other.pid, "began": began})
        assert queue.give_up_dead() == 0
        other.communicate(b"\n")
    assert queue.give_up_dead() == 1
    queue.offer([None])
    assert queue.take().user_attrs["place"] == 0


def test_a_worker_out_of_sight_is_given_up_when_its_signs_stop():
    study = study_of(optuna.storages.InMemoryStorage())
    queue = TrialQueue(study, patience=0.05)
    queue.offer([None])
    trial = queue.take()
    trial.set_user_attr("worker", {"place": "another machine", "pid": 1})
    for beat in range(3):
        trial.set_user_attr("beat", beat)
        assert queue.give_up_dead() == 0
        time.sleep(0.06)
    assert queue.give_up_dead() == 1


def test_a_beating_worker_gives_signs():
    study = study_of(optuna.storages.InMemoryStorage())
    queue = TrialQueue(study, beat=0.01)
    queue.offer([None])
    trial = queue.take()
    with queue.alive(trial):
        time.sleep(0.2)
    assert study.trials[0].user_attrs["beat"] >= 2


def test_processes_are_told_apart_from_those_that_got_their_number():
    me = this_worker()
    assert gone(me) is False
    assert gone({**me, "began": "1"}) is True
    assert gone({**me, "place": "elsewhere"}) is None
    watch = Watch(10.0)
    assert not watch.stale("a", 1)
    assert not watch.stale("a", 1)


def test_three_processes_share_a_journal_and_one_of_them_dies(tmp_path):
    share_and_die(str(tmp_path / "journal"), tmp_path / "log")


def test_a_storage_that_can_not_be_reached_is_a_line():
    with pytest.raises(RecipeError, match=r"storage sqlite:.* can't be used.*--storage"):
        open_storage("sqlite:////no/such/folder/x.db", None)
    with (
        pytest.raises(RecipeError, match=r"went away. Finished trials are kept.*--resume"),
        storage_errors("x"),
    ):
        raise optuna.exceptions.StorageInternalError("it went away")
