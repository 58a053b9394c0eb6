"""What is on disk at any moment: whole files, one run a folder, checkpoints to the bit."""

import errno
import itertools
import json
import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import kcnn.recipe.files
from kcnn.recipe import RecipeError
from kcnn.recipe.checkpoint import BestWeights, Checkpoint
from kcnn.recipe.files import jsonable, read_json, write_json
from kcnn.recipe.folder import RunFolder
from kcnn.recipe.results import read_result
from kcnn.recipe.schedule import warmup_cosine
from kcnn.recipe.steps.learning_rates import LearningRates, Rate
from kcnn.recipe.training import Score, is_better, length_of

IDENTITY = {"kcnn": "1", "settings": {"seed": 1, "time": None}, "data": {"fingerprint": "ab"}}


def claimed(path, identity=IDENTITY, **options):
    with RunFolder(path, **options) as folder:
        return folder.claim(identity)


def test_a_filled_folder_is_refused_unless_it_is_a_run_and_asked_for(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"precious")
    with pytest.raises(RecipeError, match=r"not empty.*--resume.*--overwrite"):
        claimed(tmp_path)
    with pytest.raises(RecipeError, match="no run of"):
        claimed(tmp_path, overwrite=True)
    assert (tmp_path / "photo.png").read_bytes() == b"precious"


def test_a_folder_in_which_nothing_came_about_is_gone_again(tmp_path):
    with RunFolder(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


def test_overwrite_replaces_an_earlier_run_only_when_the_new_one_begins(tmp_path):
    claimed(tmp_path / "run")
    page = tmp_path / "run" / "report.html"
    page.write_text("old")
    with RunFolder(tmp_path / "run", overwrite=True) as folder:
        assert page.exists()
        folder.claim(IDENTITY)
        assert not page.exists()


def test_a_run_killed_before_its_first_step_can_be_resumed_and_overwritten(tmp_path):
    first = claimed(tmp_path)
    assert claimed(tmp_path, resume=True) == first
    assert claimed(tmp_path, overwrite=True) != first


def test_a_resumed_run_says_all_that_changed(tmp_path):
    claimed(tmp_path)
    other = {**IDENTITY, "settings": {"seed": 2, "time": 60}, "data": {"fingerprint": "cd"}}
    with pytest.raises(RecipeError) as caught:
        claimed(tmp_path, other, resume=True)
    assert "settings seed was 1, is 2" in str(caught.value)
    assert "data fingerprint was 'ab', is 'cd'" in str(caught.value)
    assert "time" not in str(caught.value)  # it changes nothing that is there


HOLD = """
import sys, time
from kcnn.recipe.folder import RunFolder
with RunFolder(sys.argv[1]) as folder:
    folder.claim({})
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_processes_do_not_share_a_folder(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "held\n"
            with pytest.raises(RecipeError, match=f"in use by process {other.pid} on"):
                claimed(tmp_path, {}, resume=True)
        finally:
            other.kill()
    claimed(tmp_path, {}, resume=True)  # a killed process holds nothing


def test_a_read_only_disk_is_an_error_of_the_disk(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="denied"):
        claimed(tmp_path / "run")


def test_a_full_disk_leaves_the_file_before(tmp_path, monkeypatch):
    file = tmp_path / "fact.json"
    write_json(file, {"a": 1})

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kcnn.recipe.files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(file, {"a": 2})
    assert read_json(file) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["fact.json"]


def test_a_damaged_fact_is_named(tmp_path):
    claimed(tmp_path)
    (tmp_path / "state" / "identity.json").write_text('{"id": ')
    with pytest.raises(RecipeError, match=r"identity\.json is damaged"):
        claimed(tmp_path, resume=True)


def test_the_record_is_strict_json_without_nan():
    value = {"a": [np.float32(1.5), math.nan, np.inf], "b": np.arange(2), "c": (True, None)}
    text = json.dumps(jsonable(value), allow_nan=False)
    assert json.loads(text) == {"a": [1.5, None, None], "b": [0, 1], "c": [True, None]}


def test_results_come_back_from_json_as_they_were():
    from dataclasses import asdict

    result = LearningRates(1e-4, 100, (Rate(0.1, (2.3, None), "diverged", "NaN"),), None, 0.01)
    stored = json.loads(json.dumps(jsonable(asdict(result))))
    assert read_result(LearningRates, stored) == result


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"curves": 3}, "curves should be a list"),
        ({"iterations": "many"}, "iterations should be int"),
        ({"curves": [{"lr": 1.0}]}, r"curves\[0\] has no 'losses'"),
    ],
)
def test_a_result_of_another_form_is_named(change, said):
    good = {"weight_decay": 0.0, "iterations": 1, "curves": [], "suggestion": None}
    with pytest.raises(ValueError, match=said):
        read_result(LearningRates, {**good, **change})


def test_warmup_rises_linearly_and_cosine_ends_at_zero():
    rates = [warmup_cosine(s, peak=0.4, total=105, warmup=5) for s in range(106)]
    np.testing.assert_allclose(rates[:5], [0.08, 0.16, 0.24, 0.32, 0.4])
    np.testing.assert_allclose(rates[5], 0.4)
    np.testing.assert_allclose(rates[55], 0.2, rtol=1e-12)  # half-way down
    np.testing.assert_allclose(rates[105], 0.0, atol=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))


def test_the_schedule_agrees_with_keras_cosine_decay():
    keras_rate = keras.optimizers.schedules.CosineDecay(0.3, decay_steps=100)
    ours = [warmup_cosine(s, peak=0.3, total=100, warmup=0) for s in range(100)]
    np.testing.assert_allclose(ours, [float(keras_rate(s)) for s in range(100)], atol=1e-6)


@pytest.mark.parametrize(
    ("updates", "per_pass", "epochs", "each"),
    [(500, 20, 5, 20), (500, 100, 5, 100), (500, 300, 2, 300), (500, 10_000, 5, 100)],
)
def test_updates_become_passes_or_parts_of_one(updates, per_pass, epochs, each):
    length = length_of(updates, per_pass, least=1, most=5)
    assert (length.epochs, length.updates) == (epochs, each)


def test_better_is_accuracy_then_loss():
    a = Score(0.5, 0.9)
    assert is_better(a, None)
    assert is_better(Score(0.4, 0.9), a)
    assert not is_better(Score(0.1, 0.8), a)
    assert not is_better(Score(math.nan, 0.99), a)
    assert is_better(Score(0.4), Score(0.5))  # no accuracy: the loss


def test_one_lucky_image_of_few_does_not_make_an_epoch_better():
    """Of 100 images 99 right: binomial standard error about 1.4 images, of 10,000 about 0.1 %."""
    a, steadier = Score(0.04, 0.99), Score(0.03, 0.98)
    assert is_better(steadier, a, images=100)
    assert not is_better(a, steadier, images=100)
    assert not is_better(steadier, a, images=10_000)
    assert is_better(a, steadier, images=10_000)
    assert not is_better(Score(0.01, 0.96), a, images=100)


def told(keeper, curve, accuracies):
    """Tell a keeper epochs with these validation losses and accuracies; the epoch it kept."""
    keeper.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    for epoch, (loss, accuracy) in enumerate(zip(curve, accuracies, strict=True)):
        logs = {"loss": 2.0 * 0.8**epoch, "val_loss": loss, "val_accuracy": accuracy}
        keeper.on_epoch_end(epoch, logs)
    return keeper.epoch


LEVEL = [2.0, 1.0, 0.5, 0.3, 0.2, 0.13, 0.1, 0.12, 0.14, 0.11, 0.13, 0.12]


def test_the_end_of_the_schedule_is_kept_where_an_earlier_epoch_was_luckier():
    accuracies = [0.97] * 6 + [0.98] + [0.97] * 5
    assert told(BestWeights(144), LEVEL, accuracies) == 7
    assert told(BestWeights(144, last=12), LEVEL, accuracies) == 12
    assert told(BestWeights(144, last=13), LEVEL, accuracies) == 7  # not there yet
    assert told(BestWeights(100_000, last=12), LEVEL, accuracies) == 7  # no luck on so many


def test_the_end_is_not_kept_after_overfitting():
    turned = [*LEVEL[:7], 0.2, 0.3, 0.4, 0.5, 0.6]
    assert told(BestWeights(144, last=12), turned, [0.97] * 12) == 7
    assert told(BestWeights(144, last=12), [*LEVEL[:11], math.nan], [0.97] * 12) == 7


def test_a_turn_that_twenty_images_can_not_tell_from_chance_is_none():
    turned = [0.74, 0.87, 0.56, 0.79, 0.84, 1.02, 1.12, 1.11, 1.14, 1.04, 1.06, 1.1]
    accuracies = [0.75, 0.8, 0.85, 0.75, 0.6, 0.65, 0.55, 0.6, 0.65, 0.6, 0.65, 0.6]
    assert told(BestWeights(20, last=12), turned, accuracies) == 12
    assert told(BestWeights(2000, last=12), turned, accuracies) == 3


def small_model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dropout(0.3)(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_checkpoint_takes_training_up_where_it_was(tmp_path):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4)).astype("float32"), rng.integers(0, 3, 24)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

    def fit(model, epochs, start, callbacks):
        model.fit(
            data,
            epochs=epochs,
            initial_epoch=start,
            validation_data=data,
            verbose=0,
            callbacks=callbacks,
        )

    whole, keeper = small_model(), BestWeights()
    fit(whole, 4, 0, [keeper])

    first = BestWeights()
    fit(small_model(), 2, 0, [first, Checkpoint(tmp_path, first)])
    second = BestWeights()
    checkpoint = Checkpoint(tmp_path, second)
    model = small_model()
    start = checkpoint.restore(model)
    assert start == 2
    fit(model, 4, start, [second, checkpoint])

    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # momentum and dropout's seeds were restored too
    best = Checkpoint.best_weights(tmp_path, second.epoch)
    for a, b in zip(best, keeper.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert second.history == keeper.history
    assert second.epoch == keeper.epoch
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert kept == [f"best-{second.epoch}.npz", "epoch.npz"]


def test_a_kill_between_the_files_of_a_checkpoint_pairs_no_epochs(tmp_path, monkeypatch):
    """Best weights of epoch 2 are written and the state that speaks of them is not."""
    import kcnn.recipe.checkpoint as module

    model = small_model()
    best = BestWeights()
    checkpoint = Checkpoint(tmp_path, best)
    for callback in (best, checkpoint):
        callback.set_model(model)

    def epoch(number, loss):
        logs = {"loss": loss, "val_loss": loss, "val_accuracy": 0.5}
        best.on_epoch_end(number, logs)
        checkpoint.on_epoch_end(number, logs)

    epoch(0, 1.0)
    before = [w.copy() for w in best.weights]
    model.set_weights([w + 1 for w in model.get_weights()])
    write, written = module.write_arrays, []

    def killed(path, arrays):
        if path.name == "epoch.npz":
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, arrays)

    monkeypatch.setattr(module, "write_arrays", killed)
    with pytest.raises(KeyboardInterrupt):
        epoch(1, 0.5)
    assert written == ["best-2.npz"]
    restored = BestWeights()
    assert Checkpoint(tmp_path, restored).restore(small_model()) == 1
    assert restored.score.loss == 1.0
    for a, b in zip(restored.weights, before, strict=True):
        np.testing.assert_array_equal(a, b)
