"""What others read of an exported folder: Keras, TensorFlow's own tools, TensorFlow Serving."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from _serving import NAMES, encoded, images, softmax
from tensorflow.core.protobuf import saved_model_pb2

from kcnn.data import load
from kcnn.preprocessing import Preprocessing
from kcnn.serving import export

PREPROCESSING = Preprocessing((8, 8), scale=1 / 255)
OUTPUTS = {
    "probabilities": (tf.float32, [-1, 3]),
    "class": (tf.int64, [-1]),
    "label": (tf.string, [-1]),
    "top_probabilities": (tf.float32, [-1, 3]),
    "top_labels": (tf.string, [-1, 3]),
}
INPUTS = {
    "serving_default": ("images", tf.float32, [-1, -1, -1, 3]),
    "serving_uint8": ("images", tf.uint8, [-1, -1, -1, 3]),
    "serving_bytes": ("image_bytes", tf.string, [-1]),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder, and what Keras answers for `images()`."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation="tanh")(PREPROCESSING.layer()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    path = export(model, tmp_path_factory.mktemp("compat") / "pets", class_names=NAMES)
    return path, softmax(model(np.float32(images()), training=False))


def given(signature):
    """`images()` as this signature takes them."""
    if signature == "serving_bytes":
        return np.array([encoded(image) for image in images()], object)
    return images().astype("float32" if signature == "serving_default" else "uint8")


def signatures(path):
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    return graph.signature_def


def test_the_signatures_are_named_typed_and_shaped_as_documented(served):
    defined = signatures(served[0])
    assert set(INPUTS) < set(defined)
    for name, (key, dtype, shape) in INPUTS.items():
        assert defined[name].method_name == "tensorflow/serving/predict"
        assert set(defined[name].inputs) == {key}
        assert set(defined[name].outputs) == set(OUTPUTS)
        found = {**defined[name].inputs, **defined[name].outputs}
        for part, (wanted, size) in {key: (dtype, shape), **OUTPUTS}.items():
            assert found[part].dtype == wanted.as_datatype_enum
            assert [d.size for d in found[part].tensor_shape.dim] == size


@pytest.mark.parametrize("signature", INPUTS)
def test_a_serving_request_is_answered_the_way_tensorflow_serving_runs_it(served, signature):
    """By the request's names through the SignatureDef into a session, as its server does."""
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    path, expected = served
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = path.parent.name, signature
    request.inputs[INPUTS[signature][0]].CopyFrom(tf.make_tensor_proto(given(signature)))
    request = predict_pb2.PredictRequest.FromString(request.SerializeToString())

    definition = signatures(path)[request.model_spec.signature_name]
    assert set(request.inputs) == set(definition.inputs)
    feeds = {}
    for key, proto in request.inputs.items():
        assert proto.dtype == definition.inputs[key].dtype
        feeds[definition.inputs[key].name] = tf.make_ndarray(proto)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        names = {key: entry.name for key, entry in definition.outputs.items()}
        answer = session.run(names, feeds)
    reply = predict_pb2.PredictResponse()
    for key, value in answer.items():
        reply.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    np.testing.assert_allclose(tf.make_ndarray(reply.outputs["probabilities"]), expected, atol=1e-5)
    labels = [label.decode() for label in tf.make_ndarray(reply.outputs["label"])]
    assert labels == [NAMES[i] for i in expected.argmax(axis=1)]


def test_keras_takes_it_as_a_layer(served):
    path, expected = served
    inputs = keras.Input((8, 8, 3))
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    model = keras.Model(inputs, layer(inputs)["probabilities"])
    np.testing.assert_allclose(model.predict(given("serving_default"), verbose=0), expected, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("signature", INPUTS)
def test_saved_model_cli_shows_and_runs_it(served, tmp_path, signature):
    path, expected = served
    np.savez(tmp_path / "x.npz", x=given(signature))
    tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    which = ["--dir", str(path), "--tag_set", "serve", "--signature_def", signature]
    shown = subprocess.run([*tool, "show", *which], capture_output=True, text=True, check=True)
    assert INPUTS[signature][0] in shown.stdout
    source = f"{INPUTS[signature][0]}={tmp_path / 'x.npz'}[x]"
    if signature == "serving_bytes":  # it reads no pickled arrays of bytes
        fixed = np.array([encoded(image) for image in images()])
        np.savez(tmp_path / "x.npz", x=fixed)
    run = [*tool, "run", *which, "--inputs", source, "--outdir", str(tmp_path / "out")]
    subprocess.run(run, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "probabilities.npy"), expected, atol=1e-5)


def photographs(folder):
    """Real photographs in every format, turned, gray, without and with an alpha, by class."""
    skimage = pytest.importorskip("skimage.data")
    from PIL import Image

    cat, coffee, rocket = (
        Image.fromarray(read()) for read in (skimage.chelsea, skimage.coffee, skimage.rocket)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    clear = cat.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(cat.size))
    files = {
        "cat/plain.jpg": (cat, {}),
        "cat/turned.jpg": (cat, {"exif": exif, "quality": 95}),
        "cat/clear.png": (clear, {}),
        "cat/photo.webp": (cat, {}),
        "other/progressive.jpg": (coffee, {"progressive": True}),
        "other/cmyk.jpg": (coffee.convert("CMYK"), {}),
        "other/palette.png": (coffee.quantize(64), {}),
        "other/gray.png": (rocket.convert("L"), {}),
        "other/photo.bmp": (rocket, {}),
        "other/photo.gif": (rocket.quantize(128), {}),
    }
    for name, (picture, options) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name, **options)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_files_bytes_become_the_very_pixels_that_training_saw(tmp_path, resize):
    photographs(tmp_path / "photos")
    preprocessing = Preprocessing((24, 20), resize=resize, crop_ratio=0.875)
    data = load(tmp_path / "photos", preprocessing=preprocessing, val_fraction=0.2)
    splits = (data.train, data.val, data.test)
    seen = np.concatenate([batch for split in splits for batch, _ in split.batches(4)])
    # A network of no layers, whose "probabilities" are the pixels.
    inputs = keras.Input((24, 20, 3))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))
    path = export(model, tmp_path / "pixels", preprocessing=preprocessing, from_logits=False)
    answer = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    files = [file.read_bytes() for file in sorted((tmp_path / "photos").rglob("*.*"))]
    served = answer(image_bytes=tf.constant(files))["probabilities"].numpy()
    served = served.reshape(-1, 24, 20, 3)
    assert len(seen) == len(served) == 10
    apart = np.abs(served[:, None] - seen[None]).max(axis=(2, 3, 4))  # their order is drawn by lot
    assert apart.min(axis=0).max() <= 1.0  # of 255
    assert sorted(apart.argmin(axis=0)) == list(range(10))
