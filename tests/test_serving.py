"""The exported SavedModel against the model's own float64 softmax, here and in a bare process."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn import layers
from kcnn.serving import export_saved_model, gives_probabilities
from kcnn.serving._graph import make_portable

NAMES = ["cat", "dög", "a <b> & c"]


def images(n=5, shape=(8, 8, 3)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("uint8")


def softmax(logits):
    e = np.exp(np.float64(logits) - np.max(logits, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


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
    path = export_saved_model(model, folder / "served" / "1", **{"class_names": NAMES, **options})
    return tf.saved_model.load(str(path))


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
    path = export_saved_model(model, tmp_path / "m" / "1", class_names=NAMES)
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
    path = export_saved_model(model, tmp_path / "ours", class_names=NAMES)
    assert not any(mark in (path / "saved_model.pb").read_bytes() for mark in marks)
    assert make_portable(tmp_path / "keras") > 0


@pytest.mark.parametrize("activation", [None, "linear", "softmax", "log_softmax"])
def test_probabilities_have_exactly_one_softmax(tmp_path, activation):
    model = small_cnn(activation)
    raw = np.float64(model(np.float32(images()), training=False))
    expected = raw if activation == "softmax" else softmax(raw)
    served = exported(model, tmp_path)(images())["probabilities"]
    np.testing.assert_allclose(served, expected, atol=1e-6)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_unit_serves_as_two_classes_the_second_one_positive(tmp_path, activation):
    model = small_cnn(activation, units=1)
    positive = np.float64(model(np.float32(images()), training=False))
    if activation is None:
        positive = 1 / (1 + np.exp(-positive))
    served = exported(model, tmp_path, class_names=["no", "yes"])(images())
    np.testing.assert_allclose(served["probabilities"][:, 1:], positive, atol=1e-6)
    np.testing.assert_allclose(np.sum(served["probabilities"], axis=1), 1.0, atol=1e-6)


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
    assert gives_probabilities(model()) is probabilities


def test_an_unclear_output_asks_and_the_argument_answers(tmp_path):
    model = small_cnn("relu")
    with pytest.raises(ValueError, match=r"'relu'.*from_logits=True"):
        exported(model, tmp_path)
    served = exported(model, tmp_path, from_logits=True)(images())["probabilities"]
    expected = softmax(model(np.float32(images()), training=False))
    np.testing.assert_allclose(served, expected, atol=1e-6)


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
    with pytest.raises(ValueError, match="image_shape"):
        exported(model, tmp_path)
    with pytest.raises(ValueError, match="3 outputs, but 2 class names"):
        exported(model, tmp_path, image_shape=(None, None, 3), class_names=["a", "b"])
    served = exported(model, tmp_path, image_shape=(None, None, 3))
    np.testing.assert_allclose(served(images())["probabilities"], softmax(logits), atol=1e-6)


def test_bytes_floats_and_json_numbers_give_the_same_answer(tmp_path):
    served = exported(small_cnn(), tmp_path)
    request = json.loads(json.dumps({"instances": images().tolist()}))  # whole numbers
    by_json = served.signatures["serving_default"](
        images=tf.constant(request["instances"], tf.float32)
    )
    by_bytes = served.signatures["serving_uint8"](images=tf.constant(images()))
    for key in ("probabilities", "label", "class_names"):
        assert np.array_equal(by_json[key], by_bytes[key])
        assert np.array_equal(by_json[key], served(np.float32(images()))[key])
        assert len(by_json[key]) == 5  # REST's row format: one row of every output per image


def test_names_come_in_the_order_of_the_probabilities(tmp_path):
    answer = exported(small_cnn(), tmp_path)(images())
    names = [[name.decode() for name in row] for row in answer["class_names"].numpy()]
    assert names == [NAMES] * 5
    best = np.argmax(answer["probabilities"], axis=1)
    assert [name.decode() for name in answer["label"].numpy()] == [NAMES[i] for i in best]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_probabilities_are_float32_under_mixed_precision(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    model = small_cnn()
    answer = exported(model, tmp_path)(images())["probabilities"]
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(np.sum(answer, axis=1), 1.0, atol=1e-6)


def test_free_image_sizes_stay_free_and_can_be_fixed(tmp_path):
    model = small_cnn(shape=(None, None, 3))
    served = exported(model, tmp_path)
    for n, size in ((0, 8), (1, 5), (3, 12)):
        assert served(images(n, (size, size, 3)))["probabilities"].shape == (n, 3)
    fixed = exported(model, tmp_path / "fixed", image_shape=(8, 8, 3))
    assert fixed.signatures["serving_default"].inputs[0].shape.as_list() == [None, 8, 8, 3]


def test_a_model_of_integer_pixels_is_fed_integers(tmp_path):
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    expected = softmax(model(images(), training=False))
    np.testing.assert_allclose(exported(model, tmp_path)(images())["probabilities"], expected, 1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["a", "b"]}, "3 outputs, but 2 class names"),
        ({"class_names": ["a"]}, "at least 2"),
        ({"class_names": "abc"}, "is one string"),
        ({"class_names": ["a", "b", "c\nd"]}, "one line"),
        ({"class_names": ["a", "b", 3]}, "one line"),
        ({"image_shape": (8, 8, 1)}, r"\(8, 8, 3\), but image_shape=\(8, 8, 1\)"),
        ({"image_shape": (8, 8)}, "make it fit"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        exported(small_cnn(), tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path):
    exported(small_cnn(), tmp_path)
    old = (tmp_path / "served" / "1" / "saved_model.pb").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        exported(small_cnn(), tmp_path)
    exported(small_cnn("softmax"), tmp_path, overwrite=True)
    assert (tmp_path / "served" / "1" / "saved_model.pb").read_bytes() != old
    assert [entry.name for entry in (tmp_path / "served").iterdir()] == ["1"]


def test_overwrite_never_deletes_what_is_no_saved_model(tmp_path):
    thesis = tmp_path / "served" / "1" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(FileExistsError, match="left alone"):
        exported(small_cnn(), tmp_path, overwrite=True)
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("first", [True, False])
def test_a_write_that_fails_halfway_leaves_what_was_there(tmp_path, first):
    """A real failure of the system: no file may grow beyond 100 kB."""
    resource = pytest.importorskip("resource")
    target = tmp_path / "served" / "1"
    if not first:
        exported(small_cnn(), tmp_path)
        before = (target / "saved_model.pb").read_bytes()
    big = small_cnn(extra=keras.layers.Conv2D(512, 3, padding="same"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not be written|too large"):
            export_saved_model(big, target, class_names=NAMES, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    left = [entry.name for entry in target.parent.iterdir()]
    assert left == ([] if first else ["1"])
    assert first or (target / "saved_model.pb").read_bytes() == before
