"""The networks are the published ones: their counts, and their outputs weight for weight."""

import keras
import numpy as np
import pytest

import kcnn
from kcnn.models import model_info
from kcnn.models._memory import without_memory

# Trainable parameters with the published number of classes.
# - torchvision's documentation of each model ("num_params"): alexnet, vgg, vgg_bn, resnet.
# - keras.applications: count_params() less the moving statistics, from the model itself
#   (test_counts_equal_keras_applications) for the V2 networks.
# - The papers: CIFAR ResNets 0.27, 0.46, 0.66, 0.85, 1.7 million (arXiv:1512.03385, table 6),
#   exactly 16*27 + ... as sum_of_cifar computes it; WRN-28-10 36.5 million (arXiv:1605.07146).
TORCHVISION = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
TORCHVISION_BN = {
    "vgg11": 132_868_840,
    "vgg13": 133_053_736,
    "vgg16": 138_365_992,
    "vgg19": 143_678_248,
}
# Giga multiply-adds at the published size, torchvision's documentation ("GFLOPS").
GIGA = {
    "alexnet": 0.71,
    "vgg11": 7.61,
    "vgg13": 11.31,
    "vgg16": 15.47,
    "vgg19": 19.63,
    "resnet18": 1.81,
    "resnet34": 3.66,
    "resnet50": 4.09,
    "resnet101": 7.80,
    "resnet152": 11.51,
}


def parameters_of(name, **options):
    def count():
        model = kcnn.create_model(name, **options)
        return sum(int(np.prod(w.shape)) for w in model.trainable_variables)

    return without_memory(count)


def sum_of_cifar(n):
    """Convolutions without bias, two numbers a channel for each norm, the linear layer."""
    convs = 9 * (3 * 16 + 2 * n * 16 * 16)
    convs += 9 * (16 * 32 + (2 * n - 1) * 32 * 32 + 32 * 64 + (2 * n - 1) * 64 * 64)
    norms = 2 * (16 + 2 * n * (16 + 32 + 64))
    return convs + norms + 64 * 10 + 10


@pytest.mark.parametrize("name", TORCHVISION)
def test_counts_equal_torchvision(name):
    assert model_info(name).parameters == TORCHVISION[name]
    assert round(model_info(name).multiply_adds / 1e9, 2) == GIGA[name]


@pytest.mark.parametrize("name", TORCHVISION_BN)
def test_counts_with_batch_norm_equal_torchvision(name):
    assert parameters_of(name, norm="batch") == TORCHVISION_BN[name]


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_cifar_counts_follow_from_the_paper(depth):
    expected = sum_of_cifar((depth - 2) // 6)
    assert model_info(f"resnet{depth}").parameters == expected
    assert model_info(f"plain{depth}").parameters == expected
    millions = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.73}
    assert round(expected / 1e6, 2) == millions[depth]


def test_plain_networks_are_the_residual_ones_less_the_projections():
    projections = sum(a * b + 2 * b for a, b in [(64, 128), (128, 256), (256, 512)])
    for depth in (18, 34):
        rest = model_info(f"resnet{depth}").parameters - projections
        assert model_info(f"plain{depth}").parameters == rest


def test_wide_resnet_has_the_papers_36_5_million():
    norms = [16] + [160] * 8 + [320] * 8 + [640] * 8  # before each convolution but the stem
    convs = 9 * (3 * 16 + 16 * 160 + 7 * 160 * 160 + 160 * 320 + 7 * 320 * 320)
    convs += 9 * (320 * 640 + 7 * 640 * 640)
    projections = 16 * 160 + 160 * 320 + 320 * 640
    expected = 2 * sum(norms) + convs + projections + 640 * 10 + 10
    assert model_info("wide_resnet28_10").parameters == expected
    assert round(expected / 1e6, 1) == 36.5


APPLICATIONS = {
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet50v2": "ResNet50V2",
    "resnet101v2": "ResNet101V2",
    "resnet152v2": "ResNet152V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
}
# What keras.applications does otherwise than torchvision.
AS_KERAS = {"use_bias": True, "norm_kwargs": {"epsilon": 1.001e-5}}


def as_keras(name):
    if name.startswith("vgg"):
        return {}
    return AS_KERAS if name.endswith("v2") else {**AS_KERAS, "stride_on": "1x1"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if "152" in n else []) for n in APPLICATIONS],
)
def test_counts_equal_keras_applications(name):
    def count():
        theirs = getattr(keras.applications, APPLICATIONS[name])(weights=None)
        ours = kcnn.create_model(name, **as_keras(name))
        size = sum(int(np.prod(w.shape)) for w in theirs.trainable_variables)
        return ours.count_params(), theirs.count_params(), size

    ours, theirs, size = without_memory(count)
    assert ours == theirs
    if name.endswith("v2"):
        assert model_info(name).parameters == size


def randomize(model, seed=0):
    """Kernels as they are; biases, norms and moving statistics drawn anew."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        if w.name in ("bias", "beta", "moving_mean"):
            w.assign(rng.normal(0, 0.1, w.shape))
        elif w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))


@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "resnet50v2",
        *(pytest.param(n, marks=pytest.mark.slow) for n in APPLICATIONS if "50" not in n),
    ],
)
def test_outputs_equal_keras_applications_weight_for_weight(name):
    top = {} if name.startswith("vgg") else {"classes": 7}
    shape = (224, 224, 3) if name.startswith("vgg") else (64, 96, 3)
    theirs = getattr(keras.applications, APPLICATIONS[name])(
        weights=None, input_shape=shape, classifier_activation=None, **top
    )
    randomize(theirs)
    ours = kcnn.create_model(name, input_shape=shape, **top, **as_keras(name))
    report = kcnn.models.load_weights(ours, theirs)
    assert len(report.matched) == len(theirs.weights)
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    expected = theirs.predict(x, verbose=0)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-4, rtol=1e-4)
