"""The recipe's parts: budgets, the run folder, the schedule, checkpoints, the workbench."""

import itertools
import json
import math

import keras
import numpy as np
import pytest

from kcnn.data import load
from kcnn.recipe import BUDGETS, RecipeConfig, RecipeError
from kcnn.recipe.checkpoint import Checkpoint
from kcnn.recipe.coarse_search import _open_study, _seed_sampler, _suggest
from kcnn.recipe.display import Display
from kcnn.recipe.folder import RunFolder, jsonable
from kcnn.recipe.schedule import warmup_cosine
from kcnn.recipe.small_sample import spread_over_classes
from kcnn.recipe.training import BestWeights, is_better
from kcnn.recipe.work import Work
from kcnn.recipe.workbench import Workbench


def test_config_names_the_nearest_choice():
    with pytest.raises(RecipeError, match=r"norm must be one of .*'gruop'.*Did you mean 'group'"):
        RecipeConfig(norm="gruop")


@pytest.mark.parametrize("field", ["batch_size", "image_size", "max_images"])
def test_config_refuses_numbers_below_one(field):
    with pytest.raises(RecipeError, match=f"{field} must be at least 1; received 0"):
        RecipeConfig(**{field: 0})


@pytest.mark.parametrize("budget", BUDGETS.values())
@pytest.mark.parametrize("updates", [1, 20, 500, 100_000])
def test_coarse_trainings_last_one_to_five_epochs(budget, updates):
    assert 1 <= budget.epochs_coarse(updates) <= 5


def test_a_filled_folder_is_refused_unless_it_is_a_run_and_asked_for(tmp_path):
    config = RecipeConfig()
    (tmp_path / "photo.png").write_bytes(b"precious")
    with pytest.raises(RecipeError, match=r"not empty.*--resume.*--overwrite"):
        RunFolder(tmp_path, config)
    with pytest.raises(RecipeError, match="no run of"):
        RunFolder(tmp_path, config, overwrite=True)
    assert (tmp_path / "photo.png").read_bytes() == b"precious"


def test_overwrite_replaces_an_earlier_run(tmp_path):
    config = RecipeConfig()
    RunFolder(tmp_path / "run", config).write({"status": "finished"})
    (tmp_path / "run" / "report.html").write_text("old")
    assert RunFolder(tmp_path / "run", config, overwrite=True).read() == {}
    assert not (tmp_path / "run" / "report.html").exists()


def test_resume_keeps_the_settings(tmp_path):
    config = RecipeConfig(seed=1)
    RunFolder(tmp_path, config).write({"config": config.to_dict(), "steps": []})
    assert RunFolder(tmp_path, config, resume=True).read()["steps"] == []
    with pytest.raises(RecipeError, match="seed=1, now 2"):
        RunFolder(tmp_path, RecipeConfig(seed=2), resume=True)


def test_a_damaged_record_is_named(tmp_path):
    RunFolder(tmp_path, RecipeConfig()).write({})
    (tmp_path / "result.json").write_text('{"steps": [')
    with pytest.raises(RecipeError, match=r"result\.json is damaged"):
        RunFolder(tmp_path, RecipeConfig(), resume=True)


def test_the_record_is_strict_json_without_nan():
    value = {"a": [np.float32(1.5), math.nan, np.inf], "b": np.arange(2), "c": (True, None)}
    text = json.dumps(jsonable(value), allow_nan=False)
    assert json.loads(text) == {"a": [1.5, None, None], "b": [0, 1], "c": [True, None]}


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


def test_small_sample_is_spread_over_the_classes():
    y = np.array([0] * 90 + [1] * 9 + [2])
    chosen = spread_over_classes(y, 13, seed=3)
    assert len(set(chosen)) == 13
    assert np.bincount(y[chosen]).tolist() == [6, 6, 1]


def test_better_is_accuracy_then_loss():
    a = {"val_accuracy": 0.9, "val_loss": 0.5}
    assert is_better(a, None)
    assert is_better({"val_accuracy": 0.9, "val_loss": 0.4}, a)
    assert not is_better({"val_accuracy": 0.8, "val_loss": 0.1}, a)
    assert not is_better({"val_accuracy": 0.99, "val_loss": math.nan}, a)


def test_one_lucky_image_of_few_does_not_make_an_epoch_better():
    """Of 100 images 99 right: binomial standard error about 1.4 images, of 10,000 about 0.1 %."""
    a = {"val_accuracy": 0.99, "val_loss": 0.04}
    steadier = {"val_accuracy": 0.98, "val_loss": 0.03}
    assert is_better(steadier, a, images=100)
    assert not is_better(a, steadier, images=100)
    assert not is_better(steadier, a, images=10_000)
    assert is_better(a, steadier, images=10_000)
    assert not is_better({"val_accuracy": 0.96, "val_loss": 0.01}, a, images=100)


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


def work_of(tmp_path, **settings):
    config = RecipeConfig(data="digits", **settings)
    bench = Workbench(tiny, optimizer="sgd", seed=0)
    return Work(config, load("digits", seed=0), bench, Display(), tmp_path, 64)


def first_images(data, count=3):
    return [np.asarray(x) for x, _ in data.take(count)]


def test_batches_follow_from_seed_and_purpose_alone(tmp_path):
    """However much another pipeline has been read, and read ahead."""
    work = work_of(tmp_path)
    expected = first_images(work.train_data(purpose="search 1"))
    for part in range(1, 4):
        first_images(work.train_data(purpose="search 0"), part)
        again = first_images(work.train_data(purpose="search 1"))
        np.testing.assert_array_equal(again, expected)
    assert not np.array_equal(first_images(work.train_data(purpose="search 2")), expected)
    other = work_of(tmp_path, seed=1)
    assert not np.array_equal(first_images(other.train_data(purpose="search 1")), expected)


@pytest.mark.parametrize("cut_off", [0, 1])
def test_a_trial_that_was_cut_off_is_tried_again(tmp_path, cut_off):
    work, drawn = work_of(tmp_path), []
    study = _open_study(work, 0.1)
    for number in range(cut_off + 1):
        _seed_sampler(study, work, number, 0.1)
        trial = study.ask()
        drawn.append(_suggest(trial, work, 0.1))
        if number < cut_off:
            study.tell(trial, 1.0)
    study = _open_study(work, 0.1)  # the process was killed: the last trial is still running
    _seed_sampler(study, work, cut_off, 0.1)
    assert _suggest(study.ask(), work, 0.1) == drawn[-1]
    assert drawn[0].lr == 0.1


class CountedDense(keras.layers.Dense):
    """Counts how often Python runs through it in training, that is, how often it is traced."""

    traced = 0

    def call(self, x, training=None):
        if training:
            CountedDense.traced += 1
        return super().call(x)


def tiny(width):
    inputs = keras.Input((4,))
    return keras.Model(inputs, CountedDense(int(3 * width))(inputs))


def tiny_data(batch_size):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4)).astype("float32"), rng.integers(0, 3, 24)
    data = tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(batch_size).take(3)
    return data


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_new_rate_or_decay_does_not_trace_again(optimizer):
    bench = Workbench(tiny, optimizer=optimizer, seed=0)
    CountedDense.traced = 0
    bench.fresh(lr=0.1, weight_decay=0.0).fit(tiny_data(8), verbose=0)
    first = CountedDense.traced
    assert first > 0
    for lr, decay in ((0.01, 1e-4), (1e-5, 0.0), (1.0, 1e-2)):
        bench.fresh(lr=lr, weight_decay=decay).fit(tiny_data(8), verbose=0)
    assert CountedDense.traced == first


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_training_starts_from_the_same_weights(optimizer):
    bench = Workbench(tiny, optimizer=optimizer, seed=0)
    start = bench.fresh(lr=0.1).get_weights()

    def trained(lr, decay):
        model = bench.fresh(lr=lr, weight_decay=decay)
        for weight, expected in zip(model.get_weights(), start, strict=True):
            np.testing.assert_array_equal(weight, expected)
        model.fit(tiny_data(8), verbose=0)
        return model.get_weights()

    first = trained(0.1, 1e-2)
    trained(1.0, 0.0)
    for a, b in zip(first, trained(0.1, 1e-2), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weight_decay_shrinks_kernels_by_rate_times_decay_and_spares_biases():
    bench = Workbench(tiny, optimizer="sgd", seed=0)
    zeros = np.zeros((8, 4), "float32")
    model = bench.fresh(lr=0.5, weight_decay=0.2)
    kernel, _ = model.get_weights()
    model.layers[-1].bias.assign(np.full(3, 2.0))
    # With zero inputs the kernel's gradient is zero: only the decay moves it.
    model.fit(zeros, np.arange(8) % 3, batch_size=8, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], kernel * (1 - 0.5 * 0.2), rtol=1e-6)
    assert model.optimizer._use_weight_decay(model.layers[-1].kernel)
    assert not model.optimizer._use_weight_decay(model.layers[-1].bias)


def test_a_checkpoint_takes_training_up_where_it_was(tmp_path):
    def fit(model, epochs, start, callbacks):
        return model.fit(
            tiny_data(8),
            epochs=epochs,
            initial_epoch=start,
            validation_data=tiny_data(8),
            verbose=0,
            callbacks=callbacks,
        )

    bench = Workbench(tiny, optimizer="sgd", seed=0)
    whole = bench.fresh(lr=0.1)
    keeper = BestWeights()
    fit(whole, 4, 0, [keeper])
    expected, best = whole.get_weights(), keeper.weights

    first = BestWeights()
    fit(bench.fresh(lr=0.1), 2, 0, [first, Checkpoint(tmp_path, 0, first)])
    second = BestWeights()
    checkpoint = Checkpoint(tmp_path, 0, second)
    model = bench.fresh(lr=0.1)
    start = checkpoint.restore(model)
    assert start == 2
    fit(model, 4, start, [second, checkpoint])

    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)  # momentum was restored too
    for a, b in zip(Checkpoint.load_best(tmp_path, 0), best, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(checkpoint.history["val_loss"]) == 4
    assert second.epoch == keeper.epoch
