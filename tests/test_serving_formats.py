"""Every format in its own runtime against Keras's answers, with one input and its name."""

import json

import keras
import numpy as np
import pytest
from _serving import NAMES, images, softmax

import kcnn.serving.formats
from kcnn import layers
from kcnn.preprocessing import Preprocessing
from kcnn.serving import FORMATS, export

EXACT = ("saved_model", "onnx", "litert", "openvino")
PREPROCESSING = Preprocessing((16, 12), scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2))


def missing():
    return [p for entry in FORMATS.values() for p in entry.needs if not _found(p)]


def _found(package):
    return kcnn.serving.formats.find_spec(package) is not None


needs_extra = pytest.mark.skipif(bool(missing()), reason=f"pip install kcnn[export]: {missing()}")


def network():
    """Layers that trip converters: a norm with kernels of its own, tensors outside variables."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 12, 3))
    x = keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(inputs)
    x = keras.layers.Conv2D(48, 3, kernel_initializer="he_normal")(x)  # enough to be quantized
    x = layers.norm("group", channels=48, activation="relu")(x)
    x = keras.layers.SeparableConv2D(32, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    head = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0))
    return keras.Model(inputs, head(x))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    model = network()
    path = export(
        model,
        tmp_path_factory.mktemp("all") / "m",
        class_names=NAMES,
        preprocessing=PREPROCESSING,
        formats=list(FORMATS),
    )
    mean, std = np.float32(PREPROCESSING.mean), np.float32(PREPROCESSING.std)
    x = np.float32(images(6, (16, 12, 3)))
    return path, x, softmax(model((x / 255 - mean) / std, training=False))


def by_onnx(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path / "model.onnx"))
    assert [entry.name for entry in session.get_inputs()] == ["images"]
    return session.run(["probabilities"], {"images": x})[0]


def by_litert(file):
    def answer(path, x):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path / file))
        (names,) = interpreter.get_signature_list().values()
        assert names == {"inputs": ["images"], "outputs": ["probabilities"]}
        return interpreter.get_signature_runner()(images=x)["probabilities"]

    return answer


def by_openvino(path, x):
    import openvino

    model = openvino.Core().read_model(str(path / "model.xml"))
    assert [entry.any_name for entry in (*model.inputs, *model.outputs)] == [
        "images",
        "probabilities",
    ]
    return openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


@needs_extra
@pytest.mark.parametrize(
    ("answer", "within"),
    [
        (by_onnx, 1e-5),
        (by_litert("model.tflite"), 1e-5),
        (by_litert("model_float16.tflite"), 0.02),
        (by_litert("model_dynamic.tflite"), 0.1),
        (by_openvino, 1e-5),
    ],
)
@pytest.mark.parametrize("count", [1, 6])
def test_a_file_answers_like_keras_for_any_number_of_images(everything, answer, within, count):
    path, x, expected = everything
    assert expected.std() > 0.03
    np.testing.assert_allclose(answer(path, x[:count]), expected[:count], atol=within)


@needs_extra
def test_the_card_tells_for_each_file_how_far_it_is_from_keras(everything):
    path, _, _ = everything
    formats = json.loads((path / "assets" / "card.json").read_text())["formats"]
    assert list(formats) == list(FORMATS)
    for name, entry in formats.items():
        assert (path / entry["file"]).exists()
        assert entry["check"]["pictures"] == 8
        low, high = (0.0, 1e-5) if name in EXACT else (1e-5, 0.1)
        assert low <= entry["check"]["largest_difference"] < high


@needs_extra
def test_a_float_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    from kcnn.serving.formats import onnx

    opened = onnx.open_file
    monkeypatch.setattr(onnx, "open_file", lambda f: lambda x: opened(f)(x) + np.float32(2e-4))
    with pytest.raises(ValueError, match=r"model\.onnx differs from Keras by 0\.0002"):
        export(network(), tmp_path / "m", formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named_before_anything_is_done(tmp_path, monkeypatch):
    found = kcnn.serving.formats.find_spec
    monkeypatch.setattr(
        kcnn.serving.formats, "find_spec", lambda name: None if name == "tf2onnx" else found(name)
    )
    with pytest.raises(ValueError, match=r"onnx needs .*tf2onnx.*pip install kcnn\[export\]"):
        export(network(), tmp_path / "m", formats=["saved_model", "onnx"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_offers_the_same_formats():
    from kcnn_cli.export import FORMATS as offered

    assert offered == tuple(FORMATS)
