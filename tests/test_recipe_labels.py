"""Whole runs with labels of other kinds: several an image, shares of classes, a thousand."""

import json

import keras
import numpy as np
import pytest
from rich.console import Console

from kcnn.data import load
from kcnn.recipe import Display, RecipeError, run

QUIET = Display(Console(quiet=True))


def small_net(classes, filters=12):
    def build(hp):
        inputs = keras.Input((8, 8, 1))
        x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
        x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
        return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.Flatten()(x)))

    return build


def test_images_are_mixed_in_every_training_and_scored_by_whole_labels(tmp_path):
    data = load("digits", max_images=500)
    out = tmp_path / "run"
    record = run(small_net(10), data, out=out, budget="quick", augment="mixup", display=QUIET)
    assert record["status"] == "finished"
    assert record["augmented_by"] == "crop+mixup"
    run_ = record["steps"][4]["result"]["runs"][0]
    assert run_["val_accuracy"] > 0.8
    model = keras.models.load_model(out / "model.keras")
    assert model.loss.name == "categorical_crossentropy"
    predicted = model.predict(data.test.x.astype("float32"), verbose=0).argmax(axis=1)
    assert (predicted == data.test.y).mean() == pytest.approx(record["test"]["accuracy"])


def test_several_labels_an_image_go_through_all_steps(tmp_path):
    digits = load("digits", max_images=500)
    x = np.concatenate([digits.train.x, digits.val.x, digits.test.x])
    y = np.concatenate([digits.train.y, digits.val.y, digits.test.y])
    labels = np.stack([y % 2 == 0, y > 4, y % 3 == 0], axis=1).astype("float32")
    names = ["even", "large", "threefold"]
    data = load((x, labels), class_names=names)
    record = run(small_net(3), data, out=tmp_path / "run", budget="quick", display=QUIET)
    assert record["status"] == "finished"
    assert record["test"]["accuracy"] > 0.8
    assert record["test"]["mean_average_precision"] > 0.8
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "Test accuracy, per label" in page
    assert all(name in page for name in names)


@pytest.mark.slow
def test_a_thousand_classes_leave_a_small_record_and_page(tmp_path):
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (1000, 8, 8, 1))
    y = np.repeat(np.arange(1000), 8)
    x = np.clip(centres[y] + rng.normal(0, 20, (8000, 8, 8, 1)), 0, 255).astype("uint8")
    data = load((x, y))
    record = run(small_net(1000, 32), data, out=tmp_path / "run", budget="quick", display=QUIET)
    assert record["status"] == "finished"
    assert record["test"]["accuracy"] > 0.3
    assert (tmp_path / "run" / "report.html").stat().st_size < 3e6
    assert (tmp_path / "run" / "result.json").stat().st_size < 5e5


def test_a_time_shorter_than_a_trial_is_a_line_and_keeps_the_steps(tmp_path):
    data = load("digits", max_images=300)
    options = {"out": tmp_path / "run", "augment": "none", "display": QUIET, "keep_going": True}
    with pytest.raises(RecipeError, match=r"too short for a search.*--resume and a --time of \d+s"):
        run(small_net(10), data, time=0.5, **options)
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["status"] == "interrupted"
    assert len(record["steps"]) == 3
    again = run(small_net(10), data, time=record["seconds"] + 8, resume=True, **options)
    assert again["status"] == "finished"
