"""Features of any network at every size, by the shapes that really come out; and new heads."""

import keras
import numpy as np
import pytest

import kcnn
from kcnn.models import feature_info, features, reset_classifier


@pytest.mark.parametrize(
    ("name", "layers", "strides"),
    [
        ("resnet20", ["stage_1_block_3", "stage_2_block_3", "stage_3_block_3"], [1, 2, 4]),
        (
            "resnet50",
            ["stem", *(f"stage_{i}_block_{n}" for i, n in enumerate((3, 4, 6, 3), 1))],
            [2, 4, 8, 16, 32],
        ),
        (
            "resnet50v2",
            ["stem", *(f"stage_{i}_block_{n}" for i, n in ((1, 2), (2, 3), (3, 5), (4, 3)))],
            [2, 4, 8, 16, 32],
        ),
        (
            "vgg11",
            [*(f"stage_{i}_conv_{n}" for i, n in enumerate((1, 1, 2, 2, 2), 1)), "stage_5_pool"],
            [1, 2, 4, 8, 16, 32],
        ),
        ("alexnet", ["conv_1", "conv_2", "conv_5", "pool_5"], [4, 8, 16, 32]),
    ],
)
def test_features_are_the_last_map_of_every_size(name, layers, strides):
    model = kcnn.create_model(name, width=1 / 16, input_shape=(128, 96, 3))
    found = kcnn.models.feature_info(model)
    assert [feature.layer for feature in found] == layers
    assert [feature.strides for feature in found] == strides
    for feature in found:
        shape = model.get_layer(feature.layer).output.shape
        assert shape[3] == feature.channels
        assert abs(shape[1] - 128 / feature.strides) <= 1  # AlexNet pads less than a stride


# Channels of the published tables; the last is what include_top=False gives.
APPLICATIONS = {
    "ResNet50": [64, 256, 512, 1024, 2048],
    "ResNet50V2": [64, 256, 512, 1024, 2048],
    "VGG16": [64, 128, 256, 512, 512, 512],
    "MobileNetV2": [16, 24, 32, 96, 1280],
    "MobileNetV3Small": [16, 16, 24, 48, 576],
    "EfficientNetB0": [16, 24, 40, 112, 1280],
    "EfficientNetV2B0": [16, 32, 48, 112, 1280],
    "ConvNeXtTiny": [96, 192, 384, 768],
    "DenseNet121": [64, 128, 256, 512, 1024],  # those of the transitions
    "Xception": [64, 128, 256, 728, 2048],
    "InceptionV3": [64, 192, 288, 768, 2048],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in ("ResNet50V2", "MobileNetV2") else [pytest.mark.slow])
        for n in APPLICATIONS
    ],
)
def test_networks_of_keras_applications_give_their_maps(name):
    """Strides are those of the sizes that come out; the coarsest map is the network's own."""
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(256, 256, 3)
    )
    found = feature_info(network)
    model = features(network)
    assert [f.channels for f in found] == APPLICATIONS[name]
    for feature, shape in zip(found, model.output_shape, strict=True):
        size = 256 / feature.strides
        assert 0.7 * size - 2 <= shape[1] <= size  # some of them pad nothing
        assert shape[3] == feature.channels
    strides = [f.strides for f in found]
    assert strides == sorted({2 ** round(np.log2(s)) for s in strides})
    assert feature_info(model) == found


def test_features_of_a_registered_network_are_those_layers_outputs(tmp_path):
    model = kcnn.create_model("resnet18", width=1 / 8, input_shape=(None, None, 3))
    maps = features(model, out_indices=(1, -1))
    x = np.random.default_rng(0).normal(size=(2, 40, 56, 3)).astype("float32")
    fine, coarse = maps(x)
    assert fine.shape == (2, 10, 14, 8)
    assert coarse.shape == (2, 2, 2, 64)
    chain = x  # the layers one by one
    for layer in model.layers[1:]:
        chain = layer(chain)
        if layer.name == "stage_1_block_2":
            np.testing.assert_allclose(fine, chain, atol=1e-6)
        if layer.name == "stage_4_block_2":
            np.testing.assert_allclose(coarse, chain, atol=1e-6)
    maps.save(tmp_path / "maps.keras")
    again = keras.models.load_model(tmp_path / "maps.keras")
    assert feature_info(again) == feature_info(maps)
    assert [f.layer for f in feature_info(maps)] == ["stage_1_block_2", "stage_4_block_2"]


def test_create_model_gives_features_only():
    maps = kcnn.create_model(
        "resnet20", features_only=True, out_indices=(0, 2), width=0.25, input_shape=(16, 16, 3)
    )
    assert maps.output_shape == [(None, 16, 16, 4), (None, 4, 4, 16)]
    assert all("logits" not in layer.name for layer in maps.layers)


def test_channels_first_features_have_their_channels_first():
    model = kcnn.create_model("resnet20", input_shape=(3, 32, 48), data_format="channels_first")
    assert [(f.strides, f.channels) for f in feature_info(model)] == [(1, 16), (2, 32), (4, 64)]
    assert features(model).output_shape[-1] == (None, 64, 8, 12)


def test_a_classifier_of_convolutions_ends_the_features():
    """MobileNet's has a 1x1 convolution on the pooled pixel."""
    network = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), alpha=0.25)
    assert [f.strides for f in feature_info(network)] == [2, 4, 8, 16, 32]
    assert feature_info(network)[-1].layer == "conv_pw_13_relu"


def test_a_decoder_ends_the_features():
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", name="down_1")(inputs)
    x = keras.layers.Conv2D(6, 3, 2, padding="same", name="down_2")(x)
    x = keras.layers.Conv2DTranspose(5, 2, 2, name="up")(x)
    found = feature_info(keras.Model(inputs, x))
    assert [(f.layer, f.strides, f.channels) for f in found] == [("down_1", 2, 4), ("down_2", 4, 6)]


HEADS = {
    "resnet": lambda: kcnn.create_model("resnet18", width=1 / 8, input_shape=(32, 32, 3)),
    "features": lambda: kcnn.create_model(
        "resnet18", width=1 / 8, input_shape=(32, 32, 3), include_top=False
    ),
    "softmax": lambda: kcnn.create_model(
        "resnet18", width=1 / 8, input_shape=(32, 32, 3), classifier_activation="softmax"
    ),
    "vgg": lambda: kcnn.create_model("vgg11", width=1 / 64, input_shape=(32, 32, 3)),
    "keras": lambda: keras.applications.MobileNetV2(
        weights=None, alpha=0.35, input_shape=(32, 32, 3)
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_new_classifier_keeps_the_rest(kind):
    model = HEADS[kind]()
    new = reset_classifier(model, 7)
    assert new.output_shape == (None, 7)
    assert new.name == model.name
    kept = {id(w) for w in model.weights} & {id(w) for w in new.weights}
    assert len(kept) == len(model.weights) - (0 if kind == "features" else 2)
    assert "logits" in [layer.name for layer in new.layers]
    pooled = reset_classifier(new, 0)
    assert len(pooled.output_shape) == 2
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    kernel = np.asarray(new.get_layer("logits").kernel)
    np.testing.assert_allclose(new(x), np.asarray(pooled(x)) @ kernel, atol=1e-4)


def test_what_has_no_maps_is_told_so():
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model = kcnn.create_model("resnet20", width=0.25)
    for call, says in (
        (lambda: feature_info(dense), "gives no maps"),
        (lambda: features(keras.Sequential([keras.layers.Dense(2)])), "no graph of layers"),
        (lambda: features(model, (0, 3)), r"2: stage_3_block_3 \(1/4\).*Received: \(0, 3\)"),
        (lambda: features(model, ()), "must name some of"),
        (lambda: reset_classifier(model, -1), "at least 0"),
        (lambda: kcnn.create_model("resnet20", out_indices=(1,)), "features_only=True"),
    ):
        with pytest.raises(ValueError, match=says):
            call()
