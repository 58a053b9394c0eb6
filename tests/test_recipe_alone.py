"""Each step by itself, from Python, on models that are somebody's own."""

import math

import keras
import numpy as np
import pytest

from kcnn.data import load
from kcnn.recipe import (
    RecipeError,
    check_initial_loss,
    overfit_small_sample,
    read_curves,
    refine,
    search,
    sweep_learning_rates,
)


def net(hp):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 16)(inputs)
    x = keras.layers.Dense(hp["units"], activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(10)(x))


@pytest.fixture(scope="module")
def digits():
    return load("digits", max_images=400)


@pytest.fixture(scope="module")
def compiled():
    keras.utils.set_random_seed(0)
    model = net({"units": 32})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def test_the_first_three_steps_leave_a_compiled_model_as_it_was(digits, compiled):
    x, y = digits.train.x.astype("float32"), digits.train.y
    before = compiled.get_weights()
    first = check_initial_loss(compiled, x, y, batch_size=32)
    assert first.result.expected == pytest.approx(math.log(10))
    sample = overfit_small_sample(compiled, x, y, images=20)
    assert sample.ok
    assert sample.result.accuracy == 1.0
    sweep = sweep_learning_rates(compiled, x, y, batch_size=32, rates=(1e-2, 1e-5), iterations=30)
    assert sweep.result.suggestion == 1e-2
    for one, two in zip(compiled.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_search_and_a_refinement_by_themselves(digits):
    found = search(
        net,
        digits,
        learning_rate=3e-3,
        space={"units": [8, 64]},
        optimizer="adam",
        augment="none",
        budget="quick",
    )
    best = found.result.best_trial
    assert found.ok
    assert best.val_loss == min(t.val_loss for t in found.result.trials if t.state == "finished")
    model, refined = refine(net, digits, best.hp, optimizer="adam", augment="none", budget="quick")
    assert refined.ok
    assert model.layers[-2].units == best.hp["units"]
    scores = model.evaluate(digits.val.x.astype("float32"), digits.val.y, verbose=0)
    assert scores[0] == pytest.approx(refined.result.best_run.val_loss, rel=1e-4)
    reading = read_curves({k: list(v) for k, v in refined.result.best_run.history.items()})
    assert reading.verdict in ("healthy", "overfitting")


def test_a_model_that_is_given_is_refined_from_its_present_weights(digits, compiled):
    compiled.fit(digits.train.x.astype("float32"), digits.train.y, epochs=8, verbose=0)
    before = compiled.evaluate(digits.val.x.astype("float32"), digits.val.y, verbose=0)
    hp = {"learning_rate": 1e-4, "weight_decay": 1e-5, "batch_size": 32}
    _, refined = refine(compiled, digits, hp, augment="none", budget="quick")
    assert refined.result.best_run.history["val_loss"][0] < before[0] + 0.1


def test_what_is_missing_is_said(digits, compiled):
    for check in (check_initial_loss, overfit_small_sample, sweep_learning_rates):
        with pytest.raises(ValueError, match=f"{check.__name__}: the labels are missing"):
            check(compiled, digits.train.x.astype("float32"))
    with pytest.raises(RecipeError, match="hp needs learning_rate and batch_size"):
        refine(compiled, digits, {"weight_decay": 0.0})
