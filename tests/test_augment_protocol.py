"""What every layer owes to Keras and keras-cv: structure, flags, types, seeds, saving."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn import augment

# Every public layer; a test below fails if one is missing.
LAYERS = {
    "Augmentation": lambda **kw: augment.Augmentation("strong", (12, 10, 3), **kw),
    "AutoContrast": lambda **kw: augment.AutoContrast(rate=0.5, **kw),
    "ColorJitter": lambda **kw: augment.ColorJitter(**kw),
    "CutMix": lambda **kw: augment.CutMix(**kw),
    "Equalization": lambda **kw: augment.Equalization(rate=0.5, **kw),
    "MixUp": lambda **kw: augment.MixUp(**kw),
    "Pipeline": lambda **kw: augment.Pipeline(
        [augment.RandomFlip(), augment.RandomRotation(0.1), augment.RandomErasing(rate=0.5)], **kw
    ),
    "RandAugment": lambda **kw: augment.RandAugment(4, **kw),
    "RandomCrop": lambda **kw: augment.RandomCrop(padding=(2, 0.2), **kw),
    "RandomCutout": lambda **kw: augment.RandomCutout(**kw),
    "RandomErasing": lambda **kw: augment.RandomErasing(rate=1.0, **kw),
    "RandomFlip": lambda **kw: augment.RandomFlip(**kw),
    "RandomGrayscale": lambda **kw: augment.RandomGrayscale(0.5, **kw),
    "RandomMix": lambda **kw: augment.RandomMix(**kw),
    "RandomPosterization": lambda **kw: augment.RandomPosterization((1, 4), **kw),
    "RandomResizedCrop": lambda **kw: augment.RandomResizedCrop(**kw),
    "RandomRotation": lambda **kw: augment.RandomRotation(0.1, **kw),
    "RandomSharpness": lambda **kw: augment.RandomSharpness(1.0, **kw),
    "RandomShear": lambda **kw: augment.RandomShear(0.2, **kw),
    "RandomTranslation": lambda **kw: augment.RandomTranslation(0.2, (0.0, 0.1), **kw),
    "RandomZoom": lambda **kw: augment.RandomZoom(0.2, **kw),
    "Solarization": lambda **kw: augment.Solarization(0.2, 0.8, **kw),
}
MIXING = ("CutMix", "MixUp", "RandomMix")
MOVING = sorted(name for name in LAYERS if name.startswith("Rand") and LAYERS[name]().moves_pixels)
every_layer = pytest.mark.parametrize("name", LAYERS)
single_layer = pytest.mark.parametrize("name", [name for name in LAYERS if name not in MIXING])


def batch(count=6, size=(12, 10), channels=3):
    images = np.random.default_rng(0).integers(0, 256, (count, *size, channels))
    labels = np.eye(count, dtype=np.float32)
    return {"images": images.astype(np.uint8), "labels": labels}


def apply(layer, given=None):
    """The images a layer makes of a batch, mixing or not."""
    given = given or batch()
    return np.asarray(layer(given)["images"])


def test_every_public_layer_is_in_the_table():
    public = {
        name
        for name in augment.__all__
        if isinstance(getattr(augment, name), type) and name != "AugmentationLayer"
    }
    assert public == set(LAYERS)


@every_layer
def test_dictionaries_keep_their_structure(name):
    given = {**batch(), "weights": np.arange(6)}
    out = LAYERS[name](seed=1)(given)
    assert set(out) == set(given)
    assert out["images"].shape == given["images"].shape
    assert out["weights"] is given["weights"] or (np.asarray(out["weights"]) == np.arange(6)).all()
    if name not in MIXING:
        np.testing.assert_array_equal(out["labels"], given["labels"])
        np.testing.assert_array_equal(out["images"], LAYERS[name](seed=1)(given["images"]))
    with pytest.raises(ValueError, match="expected 'images'"):
        LAYERS[name]()({"labels": given["labels"]})


@every_layer
def test_images_change_in_training_alone_and_not_all_alike(name):
    given = batch(64)
    same = {**given, "images": np.repeat(given["images"][:1], 64, 0)}
    layer = LAYERS[name](seed=1)
    source = given if name in MIXING else same
    out = np.asarray(layer(source)["images"])
    assert len(np.unique(out.reshape(64, -1), axis=0)) > 1
    assert (out != source["images"]).any()
    still = layer(source, training=False)
    np.testing.assert_array_equal(still["images"], source["images"])
    assert still["images"].dtype == tf.float32


@every_layer
def test_the_seed_repeats_the_images_eagerly_and_in_graphs(name):
    given = batch()
    one, other = LAYERS[name](seed=1), LAYERS[name](seed=1)
    first, second = apply(one), apply(one)
    assert not np.array_equal(first, second)
    graph = tf.function(lambda x: other(x)["images"])
    np.testing.assert_allclose(first, graph(given), atol=1e-2)
    np.testing.assert_allclose(second, graph(given), atol=1e-2)
    assert not np.array_equal(first, apply(LAYERS[name](seed=2)))
    keras.utils.set_random_seed(5)
    unseeded = apply(LAYERS[name]())
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(unseeded, apply(LAYERS[name]()))


@every_layer
def test_tf_data_gives_the_eager_images_with_an_open_batch_size(name):
    given, layer, eager = batch(10), LAYERS[name](seed=1), LAYERS[name](seed=1)
    parts = [{key: value[i : i + 4] for key, value in given.items()} for i in (0, 4, 8)]
    dataset = tf.data.Dataset.from_tensor_slices(given).batch(4).map(lambda x: layer(x))
    assert dataset.element_spec["images"].shape.as_list() == [None, 12, 10, 3]
    for part, out in zip(parts, dataset, strict=True):
        np.testing.assert_allclose(out["images"], eager(part)["images"], atol=1e-2)


@single_layer
def test_sizes_may_be_unknown_to_the_graph(name):
    layer, eager = LAYERS[name](seed=1), LAYERS[name](seed=1)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    graph = tf.function(lambda x: layer(x), input_signature=[spec])
    for size in ((12, 10), (40, 33)):
        images = batch(3, size)["images"]
        np.testing.assert_allclose(graph(images), eager(images), atol=1e-2)


@single_layer
def test_one_image_and_every_channel_count_pass(name):
    layer = LAYERS[name](seed=1)
    assert layer(batch()["images"][0]).shape == (12, 10, 3)
    for channels in (1, 2, 4):
        assert layer(batch(channels=channels)["images"]).shape == (6, 12, 10, channels)
    assert layer(np.zeros((0, 12, 10, 3), np.uint8)).shape == (0, 12, 10, 3)
    assert layer(np.full((2, 1, 1, 3), 9.0, np.float32)).shape == (2, 1, 1, 3)
    with pytest.raises(ValueError, match="expected"):
        layer(np.zeros((3, 3)))


@every_layer
def test_whole_numbers_out_are_the_rounded_floats(name):
    floats = apply(LAYERS[name](seed=1))
    whole = apply(LAYERS[name](seed=1, dtype="uint8"))
    assert (floats.dtype, whole.dtype) == (np.float32, np.uint8)
    assert (np.abs(np.rint(floats) - whole) <= 1).all()
    assert (np.rint(floats) != whole).mean() < 0.01  # halves alone may go either way
    keras.config.set_dtype_policy("mixed_float16")
    assert apply(LAYERS[name](seed=1)).dtype == np.float32
    assert apply(LAYERS[name](seed=1, dtype="float16")).dtype == np.float16


@every_layer
def test_configs_rebuild_the_layer(name):
    layer = LAYERS[name](seed=4)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(apply(layer), apply(again))


@pytest.mark.parametrize("name", [*MOVING, *MIXING])
def test_keypoints_are_refused_by_what_moves_pixels(name):
    with pytest.raises(ValueError, match="can't move keypoints along"):
        LAYERS[name]()({**batch(), "keypoints": np.zeros((6, 1))})


@pytest.mark.parametrize("name", ["ColorJitter", "RandomCutout", "RandomErasing"])
def test_boxes_are_left_alone_by_what_does_not_move_pixels(name):
    boxes = {"boxes": np.ones((6, 2, 4)), "classes": np.ones((6, 2))}
    out = LAYERS[name]()({**batch(), "bounding_boxes": boxes})["bounding_boxes"]
    np.testing.assert_array_equal(out["boxes"], boxes["boxes"])


@single_layer
def test_a_model_with_the_layer_trains_saves_and_predicts_without_it(name, tmp_path):
    images = batch(16)["images"]
    inputs = keras.Input((12, 10, 3))
    hidden = LAYERS[name](seed=1)(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))
    np.testing.assert_allclose(model.predict(images, verbose=0), images.mean((1, 2)), rtol=1e-4)
    assert np.abs(model(images, training=True) - images.mean((1, 2))).max() > 1e-3 or (
        name == "RandomFlip"  # keeps the mean
    )
    model.compile("sgd", "mse")
    model.fit(images, np.zeros((16, 3)), batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    fresh = LAYERS[name](seed=1)(images.astype(np.float32))  # as in Keras, seeds start afresh
    want = np.asarray(fresh).mean((1, 2))
    np.testing.assert_allclose(again(images, training=True), want, rtol=1e-4)


@every_layer
def test_output_shapes_are_known_without_a_batch_and_channels_may_come_first(name):
    given, layer = batch(), LAYERS[name](seed=1)
    assert layer.compute_output_shape((None, 12, 10, 3)) == (None, 12, 10, 3)
    first = LAYERS[name](seed=1, data_format="channels_first")
    assert first.compute_output_shape((None, 3, 12, 10)) == (None, 3, 12, 10)
    out = first({**given, "images": np.moveaxis(given["images"], -1, 1)})
    np.testing.assert_allclose(np.moveaxis(out["images"].numpy(), 1, -1), apply(layer), atol=0.01)
    assert first.get_config()["data_format"] == "channels_first"


@pytest.mark.parametrize(
    "make", [augment.RandomCrop, lambda *s, **kw: augment.RandomResizedCrop(s, **kw)]
)
def test_layers_that_resize_say_so(make):
    layer = augment.Pipeline([augment.RandomFlip(), make(7, 9), augment.ColorJitter()])
    assert layer.compute_output_shape((5, 12, 10, 3)) == (5, 7, 9, 3)
    assert layer.compute_output_shape((12, 10, 3)) == (7, 9, 3)
    assert layer(batch()["images"]).shape == (6, 7, 9, 3)
    assert layer(keras.Input((None, None, 3))).shape == (None, 7, 9, 3)
    first = make(7, 9, data_format="channels_first")
    assert first.compute_output_shape((5, 3, 12, 10)) == (5, 3, 7, 9)


@pytest.mark.parametrize("name", sorted({*LAYERS} - {"MixUp", "CutMix"}))  # RandomMix is both
def test_a_model_with_the_layer_trains_compiled_whole(name):
    """One step under XLA with static shapes, as TPUs require."""
    given, layer = batch(8), LAYERS[name](seed=1)
    inputs = {
        "images": keras.Input(batch_shape=(8, 12, 10, 3), name="images"),
        "labels": keras.Input(batch_shape=(8, 8), name="labels"),
    }
    hidden = layer(inputs)["images"]
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(hidden))
    model = keras.Model(inputs, keras.layers.Dense(1)(pooled))
    model.compile("sgd", "mse", jit_compile=True)
    history = model.fit(given, np.zeros((8, 1)), batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.slow
def test_models_with_layers_load_in_a_fresh_process(tmp_path):
    inputs = hidden = keras.Input((12, 10, 3))
    for name in LAYERS:
        if name not in MIXING:
            hidden = LAYERS[name]()(hidden)
    keras.Model(inputs, hidden).save(tmp_path / "model.keras")
    code = "import keras, kcnn, sys; print(len(keras.models.load_model(sys.argv[1]).layers))"
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.keras")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout.split()[-1]) == len(LAYERS) - len(MIXING) + 1


def test_they_stand_beside_keras_cv_layers():
    layers = pytest.importorskip("keras_cv").layers
    given = batch(8, (16, 16))
    given = {key: tf.cast(value, tf.float32) for key, value in given.items()}
    chain = layers.Augmenter(
        [
            layers.RandomFlip(),
            augment.RandomCrop(padding=2),
            layers.RandomSaturation((0.4, 0.6)),
            augment.ColorJitter(),
            layers.MixUp(),
            augment.CutMix(),
        ]
    )
    dataset = tf.data.Dataset.from_tensors(given).map(chain)
    for out in (chain(given), next(iter(dataset))):
        assert out["images"].shape == (8, 16, 16, 3)
        np.testing.assert_allclose(np.asarray(out["labels"]).sum(1), 1.0, atol=1e-5)
    pipeline = layers.RandomAugmentationPipeline(
        [augment.RandomRotation(0.1), augment.ColorJitter(), layers.RandomFlip()],
        augmentations_per_image=2,
    )
    mapped = tf.data.Dataset.from_tensors(given["images"]).map(pipeline)
    for out in (pipeline(given["images"]), next(iter(mapped))):
        assert out.shape == (8, 16, 16, 3)
        assert np.abs(np.asarray(out) - given["images"]).max() > 1


def test_fixed_layers_in_a_pipeline_equal_the_layers_in_turn():
    """Merged colours are clipped once, so the factors here keep within the range."""
    images = (batch(3, (16, 16))["images"] // 4 + 60).astype(np.uint8)
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    parts = [
        augment.RandomFlip(rate=1.0),
        augment.RandomTranslation(
            (0.25, 0.25), (0.125, 0.125), fill_mode="constant", fill_value=90
        ),
        augment.ColorJitter(**{**off, "contrast": (0.3, 0.3)}),
        augment.RandomGrayscale(1.0),
        augment.ColorJitter(**{**off, "brightness": (0.2, 0.2), "contrast": (-0.2, -0.2)}),
        augment.RandomZoom((0.0, 0.0), fill_mode="constant"),
        augment.ColorJitter(**{**off, "hue": (0.1, 0.1)}),
    ]
    in_turn = images
    for part in parts:
        in_turn = part(in_turn)
    np.testing.assert_allclose(augment.Pipeline(parts)(images), in_turn, atol=0.05)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: augment.RandomFlip("sideways"), "mode='sideways'; expected one of"),
        (lambda: augment.RandomFlip(rate=1.5), "rate=1.5; expected a number within 0..1"),
        (lambda: augment.RandomCrop(0), "height=0; expected pixels"),
        (lambda: augment.RandomCrop(), "nothing to do"),
        (lambda: augment.RandomCrop(padding=-1), "padding=-1; expected pixels"),
        (
            lambda: augment.RandomResizedCrop(scale=(1.0, 0.5)),
            "scale=.*expected \\(lower, upper\\)",
        ),
        (lambda: augment.RandomRotation(float("nan")), "factor=nan"),
        (lambda: augment.ColorJitter(brightness=(-2.0, 0.0)), "brightness=.*within -1..inf"),
        (lambda: augment.RandomZoom(0.1, fill_mode="reflekt"), "did you mean 'reflect'"),
        (lambda: augment.MixUp(0.0), "alpha=0.0"),
        (lambda: augment.Pipeline([keras.layers.RandomFlip()]), "expected layers of kcnn.augment"),
    ],
)
def test_wrong_arguments_say_what_was_expected(make, said):
    with pytest.raises(ValueError, match=said):
        make()
