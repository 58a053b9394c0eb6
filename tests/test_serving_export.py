"""The exported SavedModel against the model's own float64 softmax, here and in a bare process."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from _serving import NAMES, encoded, images, softmax

from kcnn import layers
from kcnn.preprocessing import Preprocessing
from kcnn.serving import export
from kcnn.serving._graph import make_portable
from kcnn.serving._output import read_output
from kcnn.serving._servable import make_servable


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


def small_cnn(activation=None, *, shape=(8, 8, 3), units=3, extra=None):
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.RandomFlip()(x)
    x = keras.layers.Conv2D(8, 3, kernel_initializer="he_normal")(x)
    x = extra(x) if extra is not None else x
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    head = keras.layers.Dense(units, activation=activation, kernel_initializer="he_normal")
    return keras.Model(inputs, head(x))


def exported(model, folder, **options):
    path = export(model, folder / "served", **{"class_names": NAMES, **options})
    return tf.saved_model.load(str(path))


def probabilities(model, **options):
    """What every format of this model answers for `images()`."""
    settings = {
        "class_names": None, "preprocessing": None, "from_logits": None, "multi_label": None
    }  # fmt: skip
    return np.asarray(make_servable(model, **settings | options).probabilities(images()))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small model and what it was exported to, for tests that only ask."""
    model = small_cnn()
    return model, exported(model, tmp_path_factory.mktemp("plain"))


def answers(served, images):
    """The same images through all three signatures."""
    ways = served.signatures
    return {
        "float": ways["serving_default"](images=tf.constant(images, tf.float32)),
        "uint8": ways["serving_uint8"](images=tf.constant(images)),
        "bytes": ways["serving_bytes"](image_bytes=tf.constant([encoded(i) for i in images])),
    }


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


@pytest.mark.parametrize("activation", [None, "linear", "softmax", "log_softmax"])
def test_probabilities_have_exactly_one_softmax(activation):
    model = small_cnn(activation)
    raw = np.float64(model(np.float32(images()), training=False))
    expected = raw if activation == "softmax" else softmax(raw)
    np.testing.assert_allclose(probabilities(model), expected, atol=1e-6)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_unit_serves_as_two_classes_the_second_one_positive(activation):
    model = small_cnn(activation, units=1)
    positive = np.float64(model(np.float32(images()), training=False))
    if activation is None:
        positive = 1 / (1 + np.exp(-positive))
    served = probabilities(model, class_names=["no", "yes"])
    np.testing.assert_allclose(served[:, 1:], positive, atol=1e-6)
    np.testing.assert_allclose(np.sum(served, axis=1), 1.0, atol=1e-6)


def wrapped(*tail):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *tail])


@pytest.mark.parametrize(
    ("model", "probabilities"),
    [
        (lambda: wrapped(), False),
        (lambda: wrapped(keras.layers.Softmax()), True),
        (lambda: wrapped(keras.layers.Activation("softmax")), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Activation("linear")), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Reshape((3,))), True),
        (lambda: wrapped(keras.layers.Softmax(), keras.layers.Dense(3)), False),
        (lambda: keras.Sequential([keras.Input((4,)), wrapped(keras.layers.Softmax())]), True),
        (lambda: keras.Sequential([keras.Input((4,)), wrapped()]), False),
    ],
)
def test_the_last_activation_tells_logits_from_probabilities(model, probabilities):
    assert read_output(model(), 3).from_logits is not probabilities


def test_an_unclear_output_asks_and_the_argument_answers():
    model = small_cnn("relu")
    with pytest.raises(ValueError, match=r"'relu'.*from_logits=True"):
        probabilities(model)
    expected = softmax(model(np.float32(images()), training=False))
    np.testing.assert_allclose(probabilities(model, from_logits=True), expected, atol=1e-6)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=(1, 2)))


def test_a_subclassed_model_needs_a_shape_and_its_loss_tells_the_output(tmp_path):
    model = Subclassed()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="not built"):
        exported(model, tmp_path)
    logits = model(np.float32(images()))
    with pytest.raises(ValueError, match="preprocessing="):
        exported(model, tmp_path)
    with pytest.raises(ValueError, match="3 classes apart, but 2 class names"):
        exported(model, tmp_path, preprocessing=Preprocessing(None), class_names=["a", "b"])
    served = exported(model, tmp_path, preprocessing=Preprocessing(None))
    np.testing.assert_allclose(served(images())["probabilities"], softmax(logits), atol=1e-6)


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


@pytest.mark.parametrize("way", ["activation", "loss", "argument"])
def test_several_labels_each_have_a_probability_of_their_own(way):
    model = small_cnn("sigmoid" if way == "activation" else None)
    if way == "loss":
        model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    options = {"multi_label": True} if way == "argument" else {}
    expected = np.float64(model(np.float32(images()), training=False))
    expected = expected if way == "activation" else 1 / (1 + np.exp(-expected))
    np.testing.assert_allclose(probabilities(model, **options), expected, atol=1e-6)


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


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_probabilities_are_float32_under_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    answer = probabilities(small_cnn())
    assert answer.dtype == np.float32
    np.testing.assert_allclose(np.sum(answer, axis=1), 1.0, atol=1e-6)


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
