"""A worker is killed, the newest checkpoint is damaged: the end is that of an undisturbed run."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kcnn.distribute import Checkpoint, DistributeError

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).parent / "distribute_resume.py"
RUN = "import sys; from kcnn_cli import main; main(sys.argv[1:])"
STEPS = 16


def run(folder, kills):
    """The weights at the end of two workers, of which those of `kills` are killed."""
    folder.mkdir()
    (folder / "kills").write_text(json.dumps(kills))
    command = [sys.executable, "-c", RUN, "launch", "--restarts", str(len(kills))]
    done = subprocess.run(
        [*command, "--logs", str(folder / "logs"), str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("was ended by signal 9") == len(kills), done.stderr[-3000:]
    assert json.loads((folder / "kills").read_text()) == []
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return [np.array(w) for w in json.loads(line.removeprefix("RESULT"))]


def check(tmp_path, kills):
    whole, disturbed = run(tmp_path / "whole", []), run(tmp_path / "killed", kills)
    for one, other in zip(whole, disturbed, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path):
    check(tmp_path, [[1, 10]])


@pytest.mark.slow
def test_ten_kills_at_random_steps_change_nothing(tmp_path):
    rng = np.random.default_rng(4)
    steps = np.sort(rng.integers(1, STEPS, 10))
    check(tmp_path, [[int(rng.integers(2)), int(step)] for step in steps])


def trained(folder, epochs, *, units=3):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    told = model.fit(
        x, x[:, :1], epochs=epochs, batch_size=8, shuffle=False, verbose=0,
        callbacks=[Checkpoint(folder)],
    )  # fmt: skip
    return model, told.epoch


def test_a_run_goes_on_where_it_was_ended(tmp_path):
    whole, _ = trained(tmp_path / "whole", 5)
    trained(tmp_path / "parts", 2)
    parts, epochs = trained(tmp_path / "parts", 5)
    assert epochs == [2, 3, 4]
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(list((tmp_path / "parts").iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_newest_file_gives_way_to_the_one_before(tmp_path, damage):
    whole, _ = trained(tmp_path / "whole", 5)
    trained(tmp_path / "parts", 3)
    newest = tmp_path / "parts" / "epoch-000003.npz"
    data = bytearray(newest.read_bytes())
    if damage == "changed":
        data[len(data) // 2] ^= 255
    newest.write_bytes({"truncated": data[:-40], "changed": data, "empty": b""}[damage])
    with pytest.warns(UserWarning, match=r"epoch-000003.npz is damaged.*the one before is used"):
        parts, epochs = trained(tmp_path / "parts", 5)
    assert epochs == [2, 3, 4]
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    trained(tmp_path, 1)
    with pytest.raises(DistributeError, match="another model or optimizer"):
        trained(tmp_path, 2, units=7)
