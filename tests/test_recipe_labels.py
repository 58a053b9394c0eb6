"""Whole runs on labels of every kind: mixed ones, several an image, a thousand classes."""

import json

import keras
import numpy as np
import PIL.Image
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


def whole_run(data, out, **settings):
    build = small_net(data.image_shape, data.classes)
    options = {"budget": "quick", "keep_going": True, **settings}
    record = run(build, data, out=out, display=Display(Console(quiet=True)), **options)
    assert record["status"] == "finished"
    assert (out / "report.html").stat().st_size < MEGABYTES * 2**20
    assert json.loads((out / "result.json").read_text())["test"] == record["test"]
    model = keras.models.load_model(out / "model.keras")
    return record, model.predict(data.test.x.astype("float32"), verbose=0)


@pytest.mark.slow
def test_mixed_labels(tmp_path):
    data = load("digits", max_images=500)
    record, outputs = whole_run(data, tmp_path / "run", augment="mixup")
    assert record["augmented_by"].endswith("+mixup")
    right = (outputs.argmax(axis=1) == data.test.y).mean()
    assert record["test"]["accuracy"] == pytest.approx(right)
    assert right > 0.5


@pytest.mark.slow
def test_several_labels_an_image(tmp_path):
    rng = np.random.default_rng(0)
    names, rows = ("red", "green", "blue"), ["file,labels"]
    for i, held in enumerate(rng.random((300, 3)) < 0.4):
        pixels = rng.integers(60, 120, (8, 8, 3)) + 100 * held  # a channel is bright for each
        PIL.Image.fromarray(pixels.astype("uint8")).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{' '.join(n for n, h in zip(names, held, strict=True) if h)}")
    (tmp_path / "images.csv").write_text("\n".join(rows))
    data = load(tmp_path / "images.csv", label_separator=" ")
    record, outputs = whole_run(data, tmp_path / "run")
    test = record["test"]
    assert data.multi_label
    assert test["accuracy"] == pytest.approx(((outputs > 0) == data.test.y).mean())
    assert test["accuracy"] > 0.9
    assert test["mean_average_precision"] > 0.95
    assert "Mean average precision" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_a_thousand_classes(tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 255, (1000, 6, 6, 1))
    x = np.clip(np.repeat(kinds, 6, axis=0) + rng.normal(0, 10, (6000, 6, 6, 1)), 0, 255)
    data = load((x.astype("uint8"), np.repeat(np.arange(1000), 6)))
    record, _ = whole_run(data, tmp_path / "run")
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
