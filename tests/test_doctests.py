"""The examples in docstrings are run, one docstring a test, with what they take for granted."""

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import keras
import numpy as np
import pytest

import kcnn
from kcnn.data import load
from kcnn.models import _pretrained, _registry

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples():
    """Every docstring with an example in the modules of kcnn."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for found in pkgutil.walk_packages(kcnn.__path__, "kcnn."):
        source = importlib.util.find_spec(found.name).origin
        if ">>>" not in Path(source).read_text(encoding="utf-8"):
            continue
        module = importlib.import_module(found.name)
        for test in finder.find(module, found.name, module):
            if test.examples:
                yield pytest.param(test, id=test.name)


@pytest.fixture
def given():
    """What an example need not say: images, labels, a compiled classifier and its data."""
    keras.utils.set_random_seed(0)
    data = load("digits")
    x, y = data.train.x[:256] / 255.0, data.train.y[:256]
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    given = {"keras": keras, "kcnn": kcnn, "np": np, "data": data, "x": x, "y": y, "model": model}
    return given | {"images": images, "one_hot": np.eye(10, dtype="float32")[:4]}


@pytest.mark.parametrize("example", examples())
def test_an_example_gives_what_it_says(example, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What an example registers goes with it.
    monkeypatch.setattr(_registry, "_NETWORKS", dict(_registry._NETWORKS))
    monkeypatch.setattr(_pretrained, "_ADDED", [])
    example.globs.update(given)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append)
    assert not said, "".join(said)
