"""The presets of either library: in range, each image by itself, the same for the same seed."""

import numpy as np
import pytest
import tensorflow as tf

from kcnn.augment import Augmentation, augmentation
from kcnn.data import Split

PRESETS = [
    (library, kind, shape)
    for library, shapes in {
        "kcnn": [(8, 8, 1), (9, 7, 3), (32, 32, 3)],
        "keras-cv": [(8, 8, 1), (9, 7, 3)],
    }.items()
    for kind in ("light", "crop", "standard", "strong")
    for shape in shapes
    if library == "kcnn" or kind not in ("light", "strong")
]


def epochs(shape, kind="standard", seed=5, count=2, **options):
    """Two epochs of 32 copies of one image, in batches of 16."""
    image = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.uint8)
    split = Split(np.repeat(image, 32, 0), np.zeros(32, np.int64))
    layer = augmentation(kind, shape, seed=seed, **options)
    dataset = split.batches(16, augment=layer)
    return [np.concatenate([x.numpy() for x, _ in dataset]) for _ in range(count)]


@pytest.mark.parametrize(("library", "kind", "shape"), PRESETS)
def test_every_image_and_every_epoch_differs_and_the_seed_repeats_them(library, shape, kind):
    one, two = epochs(shape, kind, library=library)
    assert (one.dtype, one.shape) == (np.float32, (32, *shape))
    assert one.min() >= 0
    assert one.max() <= 255
    different = len(np.unique(one.reshape(32, -1), axis=0))
    assert different > 4 if kind == "light" else different == 32  # a few shifts, mirrored or not
    assert not np.array_equal(one, two)
    again = epochs(shape, kind, library=library)
    np.testing.assert_array_equal(one, again[0])
    np.testing.assert_array_equal(two, again[1])
    assert not np.array_equal(one, epochs(shape, kind, seed=6, count=1, library=library)[0])


@pytest.mark.parametrize("library", ["kcnn", "keras-cv"])
def test_colours_change_from_epoch_to_epoch(library):
    """keras-cv's own samplers start afresh in every pass over a tf.data pipeline."""
    split = Split(np.full((16, 8, 8, 3), 100, np.uint8), np.zeros(16, np.int64))
    layer = augmentation("standard", (8, 8, 3), seed=1, library=library)
    dataset = split.batches(16, augment=layer)
    one, two = (np.stack([x.numpy().max((1, 2, 3)) for x, _ in dataset]) for _ in range(2))
    assert np.abs(one - two).min() > 0


@pytest.mark.parametrize("library", ["kcnn", "keras-cv"])
def test_images_are_mirrored_only_if_they_may_be(library):
    ramp = np.tile(np.linspace(50, 200, 16)[None, None, :, None], (64, 16, 1, 1))
    split = Split(ramp.astype(np.uint8), np.zeros(64, np.int64))

    def mirrored(flip):
        layer = augmentation("standard", (16, 16, 1), seed=1, flip=flip, library=library)
        (x, _), *_ = split.batches(64, augment=layer)
        middle = x.numpy()[:, 4:12, 4:12, 0]  # no padding gets there, only cutout's zeros
        steps = np.diff(middle, axis=2)
        steps[(middle[:, :, 1:] == 0) | (middle[:, :, :-1] == 0)] = 0
        falls, rises = (steps < 0).any((1, 2)), (steps > 0).any((1, 2))
        assert (falls ^ rises).all()  # nothing but the mirror turns the ramp
        return int(falls.sum())

    assert 15 < mirrored(True) < 49
    assert mirrored(False) == 0


@pytest.mark.parametrize(
    ("mix", "library"),
    [("mixup", "kcnn"), ("cutmix", "kcnn"), ("either", "kcnn"), ("either", "keras-cv")],
)
def test_presets_that_mix_say_so_and_give_soft_labels(mix, library):
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype(np.uint8)
    labels = np.eye(8, dtype=np.float32)
    assert not augmentation("crop", (8, 8, 3)).mixes_labels
    layer = augmentation("standard", (8, 8, 3), mix=mix, library=library, seed=1)
    assert layer.mixes_labels
    given = tf.data.Dataset.from_tensor_slices({"images": images, "labels": labels}).batch(8)
    out = next(iter(given.map(lambda x: layer(x, training=True))))
    assert (out["images"].dtype, out["images"].shape) == (tf.float32, (8, 8, 8, 3))
    np.testing.assert_allclose(np.asarray(out["labels"]).sum(1), 1.0, atol=1e-5)
    assert (np.diag(out["labels"]) < 1).sum() >= 4
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_allclose(again(next(iter(given)))["images"], out["images"], atol=1e-2)
    with pytest.raises(ValueError, match="one-hot 'labels'"):
        layer(images)
    same = layer({"images": images, "labels": labels}, training=False)
    np.testing.assert_array_equal(same["labels"], labels)
    np.testing.assert_array_equal(same["images"], images)


def test_none_changes_nothing_and_neither_does_any_kind_without_training():
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(augmentation("none", (8, 8, 3))(x), x)
    for library in ("kcnn", "keras-cv"):
        layer = augmentation("standard", (8, 8, 3), library=library)
        np.testing.assert_array_equal(layer(x, training=False), x)


def test_a_preset_is_rebuilt_from_its_config():
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    layer = augmentation("standard", (8, 8, 3), flip=False, seed=3)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(layer(x), again(x))


def test_unknown_words_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'standard'"):
        augmentation("standart", (8, 8, 3))
    with pytest.raises(ValueError, match="did you mean 'keras-cv'"):
        augmentation("crop", (8, 8, 3), library="keras_cv")
    with pytest.raises(ValueError, match="made for library='kcnn' alone"):
        augmentation("strong", (8, 8, 3), library="keras-cv")
    with pytest.raises(ValueError, match="Augment first and scale afterwards"):
        Augmentation("strong", (8, 8, 3), value_range=(0, 1))
    with pytest.raises(ValueError, match="image_shape"):
        augmentation("crop", (8, 8))
