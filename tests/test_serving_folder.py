"""What an export writes, what it refuses, and what it leaves alone."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from _serving import NAMES, exported, small_cnn

from kcnn.preprocessing import Preprocessing
from kcnn.serving import export


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["a", "b"]}, "3 classes apart, but 2 class names"),
        ({"class_names": "abc"}, "is one string"),
        ({"class_names": ["a", "b", "c\nd"]}, "one line"),
        ({"class_names": ["a", "b", 3]}, "one line"),
        ({"preprocessing": Preprocessing((8, 8), 1)}, "make it fit"),
        ({"preprocessing": Preprocessing((9, 8))}, "make it fit"),
        ({"version": 0}, "whole number from 1"),
        ({"formats": ["caffe"]}, "expected one or more of saved_model"),
        ({"formats": []}, "expected one or more of saved_model"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        exported(small_cnn(), tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", "a b", ".hidden", "ü"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="no model name"):
        export(small_cnn(), tmp_path / name)


def test_a_model_of_two_inputs_or_outputs_is_refused(tmp_path):
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="one input of images"):
        export(keras.Model([a, b], keras.layers.Flatten()(a + b)), tmp_path / "m")
    flat = keras.layers.Flatten()(a)
    with pytest.raises(ValueError, match="one output of shape"):
        export(keras.Model(a, [flat, flat]), tmp_path / "m")
    with pytest.raises(ValueError, match="one output of shape"):
        export(keras.Model(a, a), tmp_path / "m")


def test_a_graph_that_calls_python_is_refused(tmp_path):
    class Python(keras.layers.Layer):
        def call(self, x):
            return tf.ensure_shape(tf.numpy_function(lambda a: a * 2, [x], tf.float32), x.shape)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    with pytest.raises(ValueError, match="PyFunc"):
        exported(small_cnn(extra=Python()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_versions_count_up_and_an_existing_one_is_kept_unless_told_otherwise(tmp_path):
    model = small_cnn()
    written = [export(model, tmp_path / "m", version=version) for version in (None, 7, None)]
    assert [path.name for path in written] == ["1", "7", "8"]
    old = (tmp_path / "m" / "7" / "saved_model.pb").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(model, tmp_path / "m", version=7)
    export(small_cnn("softmax"), tmp_path / "m", version=7, overwrite=True)
    assert (tmp_path / "m" / "7" / "saved_model.pb").read_bytes() != old
    assert sorted(entry.name for entry in (tmp_path / "m").iterdir()) == ["1", "7", "8"]


def test_overwrite_never_deletes_what_is_no_exported_model(tmp_path):
    thesis = tmp_path / "served" / "1" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(FileExistsError, match="left alone"):
        exported(small_cnn(), tmp_path, version=1, overwrite=True)
    assert thesis.read_text() == "years of work"


def test_the_card_tells_what_is_in_the_folder(tmp_path):
    facts = {
        "data": {"name": "pets", "fingerprint": "ab12"},
        "metrics": {"accuracy": np.float64(0.5), "per_class": {n: {"recall": 0.5} for n in NAMES}},
        "limits": ["Seen by daylight only."],
        "command": "kcnn export m.keras",
    }
    path = export(small_cnn(), tmp_path / "pets", class_names=NAMES, facts=facts)
    card = json.loads((path / "assets" / "card.json").read_text(encoding="utf-8"))
    assert card["class_names"] == NAMES
    assert card["data"] == facts["data"]
    assert card["metrics"]["per_class"]["cat"] == {"recall": 0.5}
    assert Preprocessing.from_config(card["preprocessing"]) == Preprocessing((8, 8))
    assert card["versions"]["keras"] == keras.__version__
    assert card["formats"]["saved_model"]["check"]["largest_difference"] < 1e-6
    text = (path / "assets" / "card.md").read_text(encoding="utf-8")
    for words in ("Seen by daylight only.", "ab12", "| dög | 0.5 |", "kcnn export m.keras"):
        assert words in text
    loaded = tf.saved_model.load(str(path))
    for asset, name in (
        (loaded.class_names_file, "class_names.txt"),
        (loaded.card_file, "card.json"),
    ):
        assert asset.asset_path.numpy().decode() == str(path / "assets" / name)


@pytest.mark.parametrize("first", [True, False])
def test_a_write_that_fails_halfway_leaves_what_was_there(tmp_path, first):
    """A real failure of the system: no file may grow beyond 100 kB."""
    resource = pytest.importorskip("resource")
    target = tmp_path / "served" / "1"
    if not first:
        exported(small_cnn(), tmp_path, version=1)
        before = (target / "saved_model.pb").read_bytes()
    big = small_cnn(extra=keras.layers.Conv2D(512, 3, padding="same"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not be written|too large"):
            export(big, target.parent, class_names=NAMES, version=1, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    left = [
        entry.name
        for entry in tmp_path.rglob("*")
        if entry.parent.name in ("served", tmp_path.name)
    ]
    assert left == ([] if first else ["served", "1"])
    assert first or (target / "saved_model.pb").read_bytes() == before
