"""A second process joins a run's search, and is refused where it is another run's."""

import json

import keras
import pytest
from rich.console import Console
from test_recipe_kill import IMAGES, begin, processes, small_net  # noqa: F401

from kcnn.data import load
from kcnn.recipe import Display, RecipeError, Settings, run
from kcnn.recipe.context import Context
from kcnn.recipe.folder import RunFolder
from kcnn.recipe.shared_search import announce, open_storage
from kcnn.recipe.worker import work

OPTIONS = {"budget": "quick", "augment": "crop", "deterministic": True}


def join(out, images=IMAGES, **changes):
    return work(
        small_net,
        load("digits", max_images=images),
        out=out,
        space={"filters": [4, 8]},
        display=Display(Console(quiet=True)),
        **{**OPTIONS, **changes},
    )


def test_a_worker_joins_and_the_run_ends_with_every_trial_once(processes, tmp_path):  # noqa: F811
    out = tmp_path / "run"
    leader = begin(processes, out, resume=False)
    worker = processes.Process(target=join, args=(out,))
    worker.start()
    leader.join(300)
    worker.join(60)
    assert leader.exitcode == 0
    record = json.loads((out / "result.json").read_text())
    trials = record["steps"][3]["result"]["trials"]
    assert [t["number"] for t in trials] == list(range(4))


def test_a_worker_of_another_run_is_refused_with_what_differs(tmp_path):
    asked, data = Settings(**OPTIONS), load("digits", max_images=IMAGES)
    context = Context(small_net, data, asked, tmp_path / "state", space={"filters": [4, 8]})
    about = {
        "run": "r",
        "identity": context.identity,
        "rate": 0.1,
        "began": 1.0,
        "augmented_by": "crop",
        "plan": {"trials": 4, "updates": 250, "seconds": None},
    }
    announce(open_storage(None, tmp_path / "state"), "r search", about)
    with pytest.raises(RecipeError, match="data images was"):
        join(tmp_path, images=IMAGES - 20)
    with pytest.raises(RecipeError, match="settings seed was 0, is 3"):
        join(tmp_path, seed=3)
    with pytest.raises(RecipeError, match="settings optimizer was 'sgd', is 'adam'"):
        join(tmp_path, optimizer="adam")


def test_a_worker_without_a_search_gives_up_in_a_line(tmp_path):
    with pytest.raises(RecipeError, match="No search has begun"):
        join(tmp_path / "nothing", wait=0.1)
    with pytest.raises(RecipeError, match="folder or its storage"):
        join(None)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("adam", "settings optimizer was 'sgd', is 'adam'"),
        (keras.optimizers.SGD(0.1, momentum=0.5), 'training optimizer was None, is "SGD'),
    ],
)
def test_a_run_does_not_go_on_with_another_optimizer(optimizer, said, tmp_path):
    data = load("digits", max_images=IMAGES)
    options = {"space": {"filters": [4, 8]}, "display": Display(Console(quiet=True)), **OPTIONS}
    context = Context(small_net, data, Settings(**OPTIONS), tmp_path, space={"filters": [4, 8]})
    with RunFolder(tmp_path / "run") as folder:
        folder.claim(context.identity)
    with pytest.raises(RecipeError, match=said):
        run(small_net, data, out=tmp_path / "run", resume=True, optimizer=optimizer, **options)
