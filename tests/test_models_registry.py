"""The registry: names, options, free image sizes, and errors that say what to do."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest

import kcnn
from kcnn.models import Options, _registry


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_list_models_sorts_numbers_as_numbers_and_takes_a_pattern():
    depths = (14, 18, 20, 32, 34, 44, 50, 56)
    assert kcnn.list_models("resnet??") == [f"resnet{depth}" for depth in depths]
    names = kcnn.list_models("resnet*")
    assert names.index("resnet20") < names.index("resnet110")
    assert kcnn.list_models("no*such") == []


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match=r"resnet20.*registered already"):
        kcnn.models.register_model("resnet20", kcnn.models.resnet20.build, kcnn.models.Options)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("resnet21", {}, "no model 'resnet21'.*Did you mean 'resnet2"),
        (None, {}, "no model None"),
        ("resnet20", {"nrom": "group"}, "unknown option 'nrom'.*Did you mean 'norm'.*It takes"),
        ("resnet20", {"depths": (1,)}, "unknown option 'depths'"),
        ("resnet20", {"classes": 0}, "resnet20: classes must be.*at least 1.*Received: 0"),
        ("resnet20", {"classes": 2.5}, "classes must be a whole number"),
        ("resnet20", {"width": 0}, "width must be above 0"),
        ("resnet20", {"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ("resnet20", {"norm": "grupo"}, "Did you mean 'group'|did you mean 'group'"),
        ("resnet20", {"norm": "group", "norm_kwargs": {"groups": 5}}, "groups=5.*try groups="),
        ("resnet18", {"stem": "cifr"}, "stem must be one of.*Did you mean 'cifar'"),
        ("resnet18", {"pooling": "mean"}, "pooling must be one of"),
        ("resnet18", {"data_format": "first"}, "data_format must be one of"),
        ("resnet18", {"input_shape": (16, 64, 3)}, "too small.*at least 32 pixels"),
        ("resnet20", {"input_shape": (3, 8, 3)}, "too small.*at least 4 pixels"),
        ("resnet20", {"input_shape": (32, 32)}, "must be .height, width, channels."),
        ("resnet20", {"input_shape": (32, 32, None)}, "how many channels"),
    ],
)
def test_bad_arguments_are_answered_with_what_to_do(name, options, says):
    with pytest.raises(ValueError, match=says):
        kcnn.create_model(name, **options)


def test_free_height_and_width_give_the_logits_of_the_fixed_model():
    free = kcnn.create_model("resnet20", classes=3, input_shape=(None, None, 1))
    fixed = kcnn.create_model("resnet20", classes=3, input_shape=(8, 12, 1))
    fixed.set_weights(free.get_weights())
    x = images(2, 8, 12, 1)
    np.testing.assert_allclose(free(x), fixed(x), atol=1e-6)
    assert free(images(1, 5, 33, 1)).shape == (1, 3)


def test_channels_first_gives_the_logits_of_channels_last():
    last = kcnn.create_model("resnet20", classes=3, input_shape=(8, 12, 3), width=0.25)
    first = kcnn.create_model(
        "resnet20", classes=3, input_shape=(3, 8, 12), width=0.25, data_format="channels_first"
    )
    first.set_weights(last.get_weights())
    x = images(2, 8, 12, 3)
    first.compile(jit_compile=True)  # TensorFlow convolves channels first on a CPU in XLA alone
    np.testing.assert_allclose(
        first.predict(x.transpose(0, 3, 1, 2), verbose=0), last(x), atol=1e-5
    )


def test_without_top_come_the_features_and_pooling_averages_them():
    options = {"input_shape": (8, 8, 3), "include_top": False, "width": 0.25}
    maps = kcnn.create_model("resnet20", **options)
    pooled = kcnn.create_model("resnet20", **options, pooling="avg")
    highest = kcnn.create_model("resnet20", **options, pooling="max")
    pooled.set_weights(maps.get_weights())
    highest.set_weights(maps.get_weights())
    x = images(2, 8, 8, 3)
    features = np.asarray(maps(x))
    assert features.shape == (2, 2, 2, 16)
    np.testing.assert_allclose(pooled(x), features.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(highest(x), features.max((1, 2)), atol=1e-6)


def test_strided_blocks_count_the_padded_pixels():
    """The convolution inside `ConvNormAct(padding="symmetric")` is built on what it sees."""
    model = kcnn.create_model("resnet20", input_shape=(4, 4, 3))
    assert model.get_layer("stage_3_block_1").output.shape == (None, 1, 1, 64)
    conv = model.get_layer("stage_3_block_1").conv_1.conv
    assert conv.get_build_config()["input_shape"] == (None, 4, 4, 32)


def test_width_multiplies_the_filters_in_steps_of_four():
    assert [Options(width=w).scaled(16) for w in (1, 0.5, 0.75, 2, 0.01)] == [16, 8, 12, 32, 4]
    model = kcnn.create_model("resnet20", width=0.5)
    assert model.get_layer("stage_3_block_3").output.shape == (None, 8, 8, 32)


def test_preprocess_stands_right_after_the_input():
    layer = keras.layers.Rescaling(1 / 255, name="scale")
    model = kcnn.create_model("resnet20", classes=3, preprocess=layer, input_shape=(8, 8, 3))
    bare = kcnn.create_model("resnet20", classes=3, input_shape=(8, 8, 3))
    bare.set_weights(model.get_weights())
    x = 255 * images(2, 8, 8, 3)
    assert model.layers[1] is layer
    np.testing.assert_allclose(model(x), bare(x / 255), atol=1e-5)


def test_the_first_loss_is_near_log_classes():
    losses = []
    for seed in range(3):  # of one draw of weights it is 0.01 to 0.14 above
        keras.utils.set_random_seed(seed)
        model = kcnn.create_model("resnet20", classes=10)
        probabilities = keras.ops.softmax(model(images(64, 32, 32, 3)))
        losses.append(-np.log(np.asarray(probabilities)).mean())  # every class equally often
    assert abs(np.mean(losses) - np.log(10)) < 0.1


def test_stochastic_depth_grows_to_the_last_block():
    model = kcnn.create_model("resnet20", drop_path=0.4)
    rates = [layer.drop_path for layer in model.layers if "block" in layer.name]
    np.testing.assert_allclose(rates, np.arange(9) * 0.05)


def test_zero_init_residual_makes_every_block_its_shortcut():
    model = kcnn.create_model("resnet20", zero_init_residual=True, input_shape=(8, 8, 3))
    block = model.get_layer("stage_1_block_2")
    x = np.abs(images(2, 8, 8, 16))
    np.testing.assert_allclose(block(x), x, atol=1e-6)


def test_the_seed_fixes_the_weights():
    def weights():
        keras.utils.set_random_seed(7)
        return kcnn.create_model("resnet20", width=0.25).get_weights()

    for a, b in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_models_of_one_name_fit_into_one_functional_model():
    keras.utils.clear_session()
    x = keras.Input((8, 8, 3))
    first, second = (kcnn.create_model("resnet20", classes=2, width=0.25) for _ in range(2))
    assert [first.name, second.name] == ["resnet20", "resnet20_1"]
    named = kcnn.create_model("resnet20", classes=2, width=0.25, name="a")
    assert named.name == "a"
    free = {"classes": 2, "width": 0.25, "input_shape": (None, None, 3)}
    pair = [kcnn.create_model("resnet20", **free) for _ in range(2)]
    both = keras.Model(x, [model(x) for model in pair])
    assert len(both(images(1, 8, 8, 3))) == 2


def test_what_keras_users_write_works_or_is_answered_with_our_word():
    softmax = kcnn.create_model(
        "vgg11", 3, weights=None, classifier_activation="softmax", width=1 / 16, name="small"
    )
    np.testing.assert_allclose(np.sum(softmax(images(2, 224, 224, 3)), -1), 1, rtol=1e-6)
    for theirs, ours in (("alpha", "width="), ("num_classes", "classes=")):
        with pytest.raises(ValueError, match=f"unknown option '{theirs}'.*{ours}"):
            kcnn.create_model("resnet20", **{theirs: 1})
    with pytest.raises(ValueError, match=r"unknown option 'weights'.*pretrained= in create_model"):
        kcnn.models.resnet20(weights="imagenet")
    with pytest.raises(ValueError, match="no weights 'imagenet'"):
        kcnn.create_model("resnet20", weights="imagenet")
    with pytest.raises(ValueError, match="give one of them"):
        kcnn.create_model("resnet50", weights="imagenet", pretrained="other")


def test_an_input_tensor_takes_the_place_of_the_input():
    image = keras.Input((16, 24, 3), name="picture")
    half = keras.layers.AveragePooling2D(2)(image)
    model = kcnn.create_model("resnet20", classes=3, width=0.25, input_tensor=half)
    bare = kcnn.create_model("resnet20", classes=3, width=0.25, input_shape=(8, 12, 3))
    bare.set_weights(model.get_weights())
    x = images(2, 16, 24, 3)
    pooled = x.reshape(2, 8, 2, 12, 2, 3).mean((2, 4))
    np.testing.assert_allclose(model(x), bare(pooled), atol=1e-5)


def test_a_network_tells_an_editor_its_arguments_and_what_they_mean():
    parameters = inspect.signature(kcnn.models.resnet20).parameters
    assert next(iter(parameters)) == "classes"
    assert parameters["classes"].default == 10
    assert parameters["stem"].default == "cifar"
    assert parameters["norm"].annotation is not inspect.Parameter.empty
    assert "stride_on" not in parameters
    assert inspect.signature(kcnn.models.resnet50).parameters["stride_on"].default == "3x3"
    told = inspect.getdoc(kcnn.models.resnet50)
    assert told.startswith("resnet50: He et al. 2015")
    for name in inspect.signature(kcnn.models.resnet50).parameters:
        assert f"{name}:" in told, name


def test_a_registered_model_is_created_by_its_name_and_chosen_of_like_ours():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class TinyOptions(Options):
        """Attributes: twice: whether there are two convolutions."""

        twice: bool = False

    def tiny(options, *, name, filters):
        inputs = keras.Input(options.input_shape)
        x = keras.layers.Conv2D(options.scaled(filters), 3)(inputs)
        if options.twice:
            x = keras.layers.Conv2D(options.scaled(filters), 3)(x)
        return keras.Model(inputs, keras.layers.Flatten()(x), name=name)

    try:
        kcnn.models.register_model("tiny", tiny, TinyOptions, input_shape=(5, 5, 1), filters=8)
        assert kcnn.create_model("tiny", width=0.5, twice=True).output_shape == (None, 4)
        with pytest.raises(ValueError, match="unknown option 'filters'"):
            kcnn.create_model("tiny", filters=3)
    finally:
        _registry._NETWORKS.pop("tiny", None)
