"""Whole runs on labels of every kind: mixed ones, several an image, a thousand classes."""

import json

import keras
import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import average_precision_score

from kcnn.data import load
from kcnn.recipe import Display, run
from kcnn.recipe.evaluation import average_precision

MEGABYTES = 3  # of a page, at any number of classes


def small_net(shape, classes):
    def build(hp):
        inputs = keras.Input(shape)
        x = keras.layers.Rescaling(1 / 255)(inputs)
        x = keras.layers.Conv2D(8, 3, activation="relu")(x)
        x = keras.layers.BatchNormalization()(keras.layers.Flatten()(x))
        return keras.Model(inputs, keras.layers.Dense(classes)(x))

    return build


def whole_run(source, out, **settings):
    data = load(source)
    build = small_net(data.image_shape, data.classes)
    options = {"budget": "quick", "keep_going": True, **settings}
    record = run(build, data, out=out, display=Display(Console(quiet=True)), **options)
    assert record["status"] == "finished"
    assert (out / "report.html").stat().st_size < MEGABYTES * 2**20
    assert json.loads((out / "result.json").read_text())["test"] == record["test"]
    model = keras.models.load_model(out / "model.keras")
    return record, data, model.predict(data.test.x.astype("float32"), verbose=0)


@pytest.mark.slow
def test_mixed_labels(tmp_path):
    digits = load("digits", max_images=400)
    file = tmp_path / "digits.npz"
    np.savez(file, x=digits.train.x, y=digits.train.y)
    record, data, outputs = whole_run(file, tmp_path / "run", augment="mixup")
    assert record["augmented_by"].endswith("+mixup")
    right = (outputs.argmax(axis=1) == data.test.y).mean()
    assert record["test"]["accuracy"] == pytest.approx(right) > 0.7


@pytest.mark.slow
def test_several_labels_an_image(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.random((300, 3)) < 0.4
    x = rng.integers(60, 120, (300, 8, 8, 3))
    x += 100 * y[:, None, None, :]  # a channel that is bright for each label
    np.savez(tmp_path / "marks.npz", x=x.astype("uint8"), y=y.astype("uint8"))
    record, data, outputs = whole_run(tmp_path / "marks.npz", tmp_path / "run")
    test = record["test"]
    assert data.multi_label
    assert test["accuracy"] == pytest.approx(((outputs > 0) == data.test.y).mean()) > 0.9
    assert test["mean_average_precision"] > 0.95
    assert "Mean average precision" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_a_thousand_classes(tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 255, (1000, 6, 6, 1))
    x = np.clip(np.repeat(kinds, 6, axis=0) + rng.normal(0, 10, (6000, 6, 6, 1)), 0, 255)
    np.savez(tmp_path / "many.npz", x=x.astype("uint8"), y=np.repeat(np.arange(1000), 6))
    record, _, _ = whole_run(tmp_path / "many.npz", tmp_path / "run")
    assert "confusion" not in record["test"]
    assert len(record["test"]["confused"]) <= 30
    assert (tmp_path / "run" / "result.json").stat().st_size < 2**19


def test_average_precision_is_scikit_learns():
    rng = np.random.default_rng(0)
    for levels in (3, 1000):  # with many equal scores, and hardly any
        labels = rng.random(200) < 0.3
        scores = rng.integers(0, levels, 200) / levels
        expected = average_precision_score(labels, scores)
        assert average_precision(labels, scores) == pytest.approx(expected)
