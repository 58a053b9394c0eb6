"""The exported SavedModel against the model's own float64 softmax, here and in a bare process."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from _serving import NAMES, answers, encoded, exported, images, small_cnn, softmax

from kcnn import layers
from kcnn.preprocessing import Preprocessing
from kcnn.serving import export
from kcnn.serving._graph import make_portable


@tf.function(jit_compile=True)
def _compiled_double(x):
    return x * 2.0


@tf.custom_gradient
def _double(x):
    return _compiled_double(x), lambda upstream: _compiled_double(upstream)


class Double(keras.layers.Layer):
    """A layer with a compiled kernel and a gradient of its own, as kcnn's norms may have."""

    def call(self, x):
        return _double(x)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small model and what it was exported to, for tests that only ask."""
    model = small_cnn()
    return model, exported(model, tmp_path_factory.mktemp("plain"))


BARE = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"kcnn", "kcnn_cli"}:
            raise ImportError("not here: " + name)
sys.meta_path.insert(0, Refuse())
try:
    import kcnn
except ImportError:
    pass
else:
    raise SystemExit("kcnn was importable")
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
x = np.load(sys.argv[2])
answer = model.signatures["serving_default"](images=tf.constant(x, tf.float32))
names = open(model.class_names_file.asset_path.numpy(), encoding="utf-8").read().splitlines()
print(json.dumps({"probabilities": answer["probabilities"].numpy().tolist(), "names": names}))
"""


def test_the_saved_model_gives_the_same_probabilities_where_kcnn_cannot_be_imported(tmp_path):
    def parts(x):
        return Double()(layers.norm("group", channels=8, activation="relu")(x))

    model = small_cnn(extra=parts)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.float32(images()), np.array([0, 1, 2, 0, 1]), epochs=2, verbose=0)
    path = export(model, tmp_path / "m", class_names=NAMES)
    np.save(tmp_path / "x.npy", images())
    away = tmp_path / "away"
    away.mkdir()
    bare = subprocess.run(
        [sys.executable, "-c", BARE, str(path), str(tmp_path / "x.npy")],
        cwd=away,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert bare.returncode == 0, bare.stderr[-2000:]
    answer = json.loads(bare.stdout.splitlines()[-1])
    expected = softmax(model(np.float32(images()), training=False))
    assert expected.std() > 0.01
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert answer["names"] == NAMES
    assert "gradient" not in bare.stderr  # no warning about gradients left behind


def test_the_graph_keeps_no_compiled_kernel_and_no_custom_gradient(tmp_path):
    model = small_cnn(extra=Double())
    model.export(tmp_path / "keras", verbose=False)
    marks = (b"_XlaMustCompile", b"_gradient_op_type")
    before = (tmp_path / "keras" / "saved_model.pb").read_bytes()
    assert all(mark in before for mark in marks)  # Keras's own export keeps them
    path = export(model, tmp_path / "ours", class_names=NAMES)
    assert not any(mark in (path / "saved_model.pb").read_bytes() for mark in marks)
    assert make_portable(tmp_path / "keras") > 0


def test_bytes_floats_and_json_numbers_give_the_same_answer(plain):
    served = plain[1]
    request = json.loads(json.dumps({"instances": images().tolist()}))  # whole numbers
    by_json = served.signatures["serving_default"](
        images=tf.constant(request["instances"], tf.float32)
    )
    for way in answers(served, images()).values():
        assert set(way) == {
            "probabilities", "class", "label", "top_probabilities", "top_labels"
        }  # fmt: skip
        for key, value in way.items():
            assert np.array_equal(by_json[key], value)
            assert len(value) == 5  # REST's row format: one row of every output per image
    for pixels in (images(), np.float32(images())):
        assert np.array_equal(by_json["label"], served(pixels)["label"])


def test_classes_labels_and_the_best_agree_with_the_probabilities(tmp_path):
    names = [f"kind {letter}" for letter in "abcdefg"]
    for answer in answers(
        exported(small_cnn(units=7), tmp_path, class_names=names), images()
    ).values():
        p = answer["probabilities"].numpy()
        falling = np.argsort(-p, axis=1)[:, :5]
        np.testing.assert_array_equal(answer["class"], p.argmax(axis=1))
        assert answer["class"].dtype == tf.int64
        np.testing.assert_array_equal(
            answer["top_probabilities"], np.take_along_axis(p, falling, axis=1)
        )
        text = [[name.decode() for name in row] for row in answer["top_labels"].numpy()]
        assert text == [[names[i] for i in row] for row in falling]
        assert [name.decode() for name in answer["label"].numpy()] == [row[0] for row in text]


def test_names_of_any_script_survive(plain):
    answer = plain[1](images())
    assert answer["top_labels"].shape == (5, 3)
    assert {name.decode() for name in answer["top_labels"].numpy().ravel()} == set(NAMES)


def test_images_of_another_size_are_resized_in_the_graph(plain):
    model, served = plain
    large = images(3, (21, 13, 3))
    expected = softmax(model(np.asarray(Preprocessing((8, 8)).resized(large)), training=False))
    for answer in answers(served, large).values():
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)


def test_encoded_pictures_of_many_sizes_make_one_batch(plain):
    model, preprocessing = plain[0], Preprocessing((8, 8))
    pictures = [images(1, (h, w, 3))[0] for h, w in ((30, 20), (8, 8), (5, 40))]
    fitted = np.stack([np.asarray(preprocessing.resized(picture)) for picture in pictures])
    served = plain[1].signatures["serving_bytes"]
    answer = served(image_bytes=tf.constant([encoded(picture) for picture in pictures]))
    expected = softmax(model(fitted, training=False))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)


def test_a_given_normalization_stands_in_front_of_a_model_without_one(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="tanh")(inputs)
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    mean, std = (120.0, 110.0, 100.0), (60.0, 50.0, 70.0)
    preprocessing = Preprocessing((8, 8), scale=1.0, mean=mean, std=std)
    normalized = (np.float32(images()) - np.float32(mean)) / np.float32(std)
    expected = softmax(model(normalized, training=False))
    served = exported(model, tmp_path, preprocessing=preprocessing)
    for answer in answers(served, images()).values():
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def normalizing_model(preprocessing):
    inputs = keras.Input(preprocessing.image_shape)
    x = keras.layers.Conv2D(4, 3, activation="tanh")(preprocessing.layer()(inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


def test_a_model_that_knows_its_preprocessing_needs_none_given(tmp_path):
    preprocessing = Preprocessing(
        (8, 8), resize="crop", crop_ratio=0.8, scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2,) * 3
    )
    normalizing_model(preprocessing).save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    large = images(2, (30, 24, 3))
    expected = softmax(model(np.asarray(preprocessing.resized(large)), training=False))
    for answer in answers(exported(model, tmp_path), large).values():
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    other = preprocessing.replace(std=(0.1,) * 3)
    with pytest.raises(ValueError, match="normalizes by itself with std"):
        exported(model, tmp_path, preprocessing=other)


def test_free_image_sizes_stay_free_and_can_be_fixed(tmp_path):
    model = small_cnn(shape=(None, None, 3))
    served = exported(model, tmp_path)
    for n, size in ((1, 5), (3, 12)):
        expected = softmax(model(np.float32(images(n, (size, size, 3))), training=False))
        for answer in answers(served, images(n, (size, size, 3))).values():
            np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    mixed = [encoded(images(1, (size, 9, 3))[0]) for size in (5, 20)]
    each = [served.signatures["serving_bytes"](image_bytes=tf.constant([m])) for m in mixed]
    both = served.signatures["serving_bytes"](image_bytes=tf.constant(mixed))
    np.testing.assert_allclose(
        both["probabilities"], np.concatenate([e["probabilities"] for e in each]), atol=1e-6
    )
    fixed = exported(model, tmp_path / "fixed", preprocessing=Preprocessing((8, 8)))
    large = images(2, (30, 16, 3))
    expected = softmax(model(np.asarray(Preprocessing((8, 8)).resized(large)), training=False))
    np.testing.assert_allclose(fixed(large)["probabilities"], expected, atol=1e-6)


def test_a_model_of_integer_pixels_is_fed_integers(tmp_path):
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    expected = softmax(model(images(), training=False))
    np.testing.assert_allclose(exported(model, tmp_path)(images())["probabilities"], expected, 1e-5)
