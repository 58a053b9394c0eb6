"""`kcnn export`: runs and .keras files, read without running anything that stands in them."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from _runs import images, write
from _runs import record as run_record
from click.testing import CliRunner

from kcnn.serving import load_keras_file, read_source
from kcnn_cli import main


def digits_model(loss=None):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    if loss is not None:
        model.compile("sgd", loss)
    return model


def export_by_command(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def test_a_run_is_exported_with_its_names_scores_and_data(tmp_path):
    record = run_record()
    run = write(tmp_path / "shapes", record, images())
    digits_model().save(run / "model.keras")
    done = export_by_command(run, "--out", tmp_path / "served")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "served" / "shapes" / "1"
    assert done.output.strip().endswith(str(folder))
    card = json.loads((folder / "assets" / "card.json").read_text(encoding="utf-8"))
    assert card["class_names"] == record["data"]["class_names"]
    assert card["data"]["train"] == record["data"]["train"]
    assert card["formats"]["saved_model"]["check"]["pictures"] == 12  # those of samples.npz
    confusion = np.array(record["test"]["confusion"])
    assert card["metrics"]["accuracy"] == record["test"]["accuracy"]
    rows = [card["metrics"]["per_class"][name] for name in card["class_names"]]
    np.testing.assert_allclose(
        [row["recall"] for row in rows], np.diag(confusion) / confusion.sum(axis=1), atol=1e-4
    )
    np.testing.assert_allclose(
        [row["precision"] for row in rows], np.diag(confusion) / confusion.sum(axis=0), atol=1e-4
    )
    label = tf.saved_model.load(str(folder))(images()["before"])["label"]
    assert set(label.numpy().astype(str)) <= set(card["class_names"])


def test_a_keras_file_is_exported_with_names_from_a_file(tmp_path):
    digits_model().save(tmp_path / "m.keras")
    (tmp_path / "names.txt").write_text("\n".join("abcdefghij"), encoding="utf-8")
    arguments = (tmp_path / "m.keras", "--out", tmp_path, "--class-names", tmp_path / "names.txt")
    done = export_by_command(*arguments, "--name", "letters", "--version", "3")
    assert done.exit_code == 0, done.output
    names = (tmp_path / "letters" / "3" / "assets" / "class_names.txt").read_text().split()
    assert names == list("abcdefghij")


@pytest.mark.parametrize(
    ("loss", "from_logits"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), True),
        ("binary_crossentropy", None),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), False),
    ],
)
def test_a_file_brings_its_loss_along_since_it_tells_what_the_output_means(
    tmp_path, loss, from_logits
):
    digits_model(loss).save(tmp_path / "m.keras")
    read = load_keras_file(tmp_path / "m.keras").loss
    assert getattr(read, "from_logits", None) is from_logits
    assert read == loss if isinstance(loss, str) else type(read) is type(loss)


def test_a_loss_of_the_users_own_does_not_stand_in_the_way(tmp_path):
    @keras.saving.register_keras_serializable(package="mine")
    class Mine(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    digits_model(Mine()).save(tmp_path / "m.keras")
    keras.saving.get_custom_objects().pop("mine>Mine")
    assert load_keras_file(tmp_path / "m.keras").output_shape == (None, 10)


def test_code_in_a_file_is_not_run_even_where_keras_was_told_to_trust(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Lambda(lambda x: x * 2))
    model.save(tmp_path / "m.keras")
    keras.config.enable_unsafe_deserialization()
    try:
        assert keras.saving.load_model(tmp_path / "m.keras").layers  # Keras itself runs it
        with pytest.raises(ValueError, match="safe mode"):
            load_keras_file(tmp_path / "m.keras")
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


def test_other_kinds_of_file_are_refused_by_name(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "m.keras").write_bytes(b"\x80\x04.")  # a pickle under the wrong name
    with zipfile.ZipFile(tmp_path / "z.keras", "w") as archive:
        archive.writestr("config.json", "{")
    for name, words in (("m.h5", "no .keras file"), ("m.keras", "no .keras"), ("z.keras", "safe")):
        with pytest.raises(ValueError, match=words):
            read_source(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "No such run folder"),
        (["."], "no finished run"),
        (["m.keras", "--name", "../elsewhere"], "no single name"),
        (["m.keras", "--name", "a b"], "no model name"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    digits_model().save("m.keras")
    done = export_by_command(*arguments, "--out", "served")
    assert done.exit_code == 2
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "served").exists()
