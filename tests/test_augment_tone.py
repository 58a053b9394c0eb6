"""Tone layers and RandAugment against Keras's own layers, Pillow and NumPy, factors held fixed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from kcnn import augment
from kcnn.augment import _compile
from kcnn.augment._draws import Draws

SIZES = [(9, 8), (32, 30)]  # plain and compiled
both_sizes = pytest.mark.parametrize("size", SIZES)


def pictures(count=4, size=(32, 30), seed=0):
    """Whole numbers in bumps: dark and light parts, no two channels alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(10, 230, (count, 4, 4, 3)).astype(np.float32)
    smooth = tf.image.resize(coarse, size, "bicubic").numpy() + rng.normal(0, 6, (count, *size, 3))
    return np.clip(smooth, 3, 251).astype(np.uint8)


def by_pillow(images, change):
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def posterized(images, bits):
    return by_pillow(images, lambda image: ImageOps.posterize(image, bits))


def by_keras(layer, images):
    """Keras's layer on each image by itself."""
    return np.stack(
        [np.asarray(layer(image.astype(np.float32), training=True)) for image in images]
    )


@both_sizes
def test_auto_contrast_is_keras_and_pillow(size):
    images = pictures(size=size)
    images[1, :, :, 0] = 77  # one value: stays
    out = np.asarray(augment.AutoContrast()(images))
    assert out[0].min((0, 1)).max() == 0
    assert out[0].max((0, 1)).min() == 255
    np.testing.assert_allclose(out, by_keras(keras.layers.AutoContrast(), images), atol=0.01)
    pillow = by_pillow(images, ImageOps.autocontrast)
    np.testing.assert_allclose(out, pillow, atol=1.01)  # Pillow rounds down


def equalized(image):
    """One image (h, w, c) of whole numbers, written out."""
    out = np.empty(image.shape)
    for channel in range(image.shape[2]):
        values = image[..., channel]
        below = np.cumsum(np.bincount(values.ravel(), minlength=256))
        first = below[below > 0][0]
        if below[-1] == first:
            out[..., channel] = values
        else:
            table = np.round((below - first) * 255.0 / (below[-1] - first))
            out[..., channel] = table[values]
    return out


@both_sizes
def test_equalization_is_the_formula_written_out_and_keras(size):
    images = pictures(size=size)
    images[1, :, :, 0] = 77
    out = np.asarray(augment.Equalization()(images))
    np.testing.assert_allclose(out, np.stack([equalized(i) for i in images]), atol=1e-3)
    theirs = by_keras(keras.layers.Equalization(), images)
    assert (np.abs(out - theirs) < 0.5).mean() > 0.9  # x / 255 * 255 falls below x there at times
    few = np.asarray(augment.Equalization(bins=16)(images[:1]))
    assert all(len(np.unique(few[..., c])) <= 16 for c in range(3))


@both_sizes
def test_posterization_keeps_the_upper_bits(size):
    images = pictures(size=size)
    for bits in (1, 3, 7, 8):
        out = np.asarray(augment.RandomPosterization(bits)(images))
        np.testing.assert_array_equal(out, posterized(images, bits))
        theirs = keras.layers.RandomPosterization((bits, bits))(images, training=True)
        np.testing.assert_array_equal(out, theirs)
    many = np.repeat(pictures(1, (16, 16)), 400, 0)
    out = np.asarray(augment.RandomPosterization((2, 5), seed=1)(many)).astype(int)
    bits = [8 - int(np.log2(np.bitwise_and.reduce(~o.ravel() & 255) + 1)) for o in out]
    assert stats.chisquare(np.bincount(bits, minlength=6)[2:]).pvalue > 1e-3
    assert min(bits) == 2
    assert max(bits) == 5


@both_sizes
@pytest.mark.parametrize(("added", "threshold"), [(0.0, 0.0), (0.0, 0.5), (0.3, 0.4)])
def test_solarization_is_keras_and_pillow(added, threshold, size):
    images = pictures(size=size)
    out = np.asarray(augment.Solarization((added, added), (threshold, threshold))(images))
    layer = keras.layers.Solarization((added, added), (threshold, threshold))
    given = {"additions": tf.constant(added * 255), "thresholds": tf.constant(threshold * 255)}
    theirs = layer.transform_images(tf.constant(images, tf.float32), given)
    np.testing.assert_allclose(out, theirs, atol=0.01)
    if not added:
        pillow = by_pillow(images, lambda i: ImageOps.solarize(i, threshold * 255))
        np.testing.assert_array_equal(out, pillow)


@both_sizes
@pytest.mark.parametrize("factor", [0.0, 0.3, 0.5, 1.0])
def test_sharpness_is_pillow_and_keras_within_the_border(factor, size):
    images = pictures(size=size)
    out = np.asarray(augment.RandomSharpness((factor, factor))(images))
    theirs = np.asarray(keras.layers.RandomSharpness((factor, factor))(images, training=True))
    np.testing.assert_allclose(out[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], atol=0.01)
    pillow = by_pillow(images, lambda i: ImageEnhance.Sharpness(i).enhance(2 * factor))
    np.testing.assert_allclose(out, pillow, atol=1.6)


def test_rates_and_factors_are_drawn_for_each_image():
    many = np.repeat(pictures(1, (16, 16)), 500, 0)
    for layer in (augment.AutoContrast(rate=0.3, seed=1), augment.Equalization(rate=0.3, seed=1)):
        changed = (np.abs(np.asarray(layer(many)) - many) > 1e-3).any((1, 2, 3))
        assert stats.binomtest(int(changed.sum()), 500, 0.3).pvalue > 1e-3
    ramp = np.repeat(np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1), 500, 0)
    out = np.asarray(augment.Solarization(0.0, (0.2, 0.6), seed=1)(ramp))
    inverted = (np.abs(out - ramp) > 1e-3).reshape(500, -1)
    thresholds = inverted.argmax(1) / 255
    assert stats.kstest(thresholds, "uniform", (0.2, 0.4)).pvalue > 1e-3


# What Keras's layer, or Pillow, makes of an image at strength s: one way, and the other if any.
ONE = {
    "brightness": lambda x, s: [np.clip(x + 255 * f, 0, 255) for f in (s, -s)],
    "color_degeneration": lambda x, s: [keras.layers.RandomColorDegeneration((s, s))(x)],
    "contrast": lambda x, s: [
        np.clip((x - x.mean((0, 1))) * f + x.mean((0, 1)), 0, 255) for f in (1 + s, 1 - s)
    ],
    "sharpness": lambda x, s: [
        keras.layers.RandomSharpness((f, f))(x) for f in (0.5 + s / 2, 0.5 - s / 2)
    ],
    "posterization": lambda x, s: [posterized([x.astype(np.uint8)], 8 - int(8 * s))[0]],
    "solarization": lambda x, s: [
        by_pillow([x.astype(np.uint8)], lambda i: ImageOps.solarize(i, 255 * (1 - s)))[0]
    ],
    "auto_contrast": lambda x, s: [keras.layers.AutoContrast()(x)],
    "equalization": lambda x, s: [equalized(x.astype(np.uint8))],
}


@pytest.mark.parametrize("name", ONE)
def test_each_operation_of_rand_augment_is_the_layer_of_that_name(name):
    images, strength = pictures(12), 0.4
    layer = augment.RandAugment(1, (strength, strength), operations=(name,), seed=1)
    out, used = np.asarray(layer(images)), set()
    for image, result in zip(images.astype(np.float32), out, strict=True):
        wanted = [np.asarray(w, np.float32) for w in ONE[name](image, strength)]
        inner = (slice(1, -1), slice(1, -1))  # Keras's sharpness darkens the border
        off = [np.abs(result[inner] - w[inner]).max() for w in wanted]
        assert min(off) < 0.05
        used.add(int(np.argmin(off)))
    assert used == set(range(len(wanted)))  # each way at times


def test_geometry_of_rand_augment_moves_by_the_strength_about_the_centre():
    y, x = np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5, indexing="ij")
    where = np.repeat(np.stack([y, x], -1)[None].astype(np.float32), 40, 0)
    design = np.stack([np.ones(1600), y.ravel() - 20, x.ravel() - 20], 1).reshape(40, 40, 3)

    def maps(name, **options):
        layer = augment.RandAugment(1, (0.1, 0.1), operations=(name,), seed=1, **options)
        inner = (slice(10, 30), slice(10, 30))
        flat = design[inner].reshape(-1, 3)
        seen = np.asarray(layer(where))[:, 10:30, 10:30].reshape(40, -1, 2)
        return np.array([np.linalg.lstsq(flat, s, rcond=None)[0].T for s in seen])

    def way(found):
        assert {-1, 1} == set(np.sign(found).astype(int))
        return np.abs(found)

    shear, shift = maps("shear"), maps("translation")
    np.testing.assert_allclose(shear[:, :, 0], 20, atol=1e-3)
    np.testing.assert_allclose(way(shear[:, 0, 2]), 0.1, atol=1e-3)
    np.testing.assert_allclose(way(shear[:, 1, 1]), 0.1, atol=1e-3)
    np.testing.assert_allclose(way(shift[:, 0, 0] - 20), 4, atol=1e-3)
    np.testing.assert_allclose(way(shift[:, 1, 0] - 20), 4, atol=1e-3)
    turn = maps("rotation", max_rotation=0.5)
    angle = np.arctan2(turn[:, 0, 2], turn[:, 0, 1]) / (2 * np.pi)
    np.testing.assert_allclose(way(angle), 0.05, atol=1e-4)


def test_every_image_draws_num_ops_of_the_operations_each_as_likely():
    layer = augment.RandAugment(3)
    chosen = layer._chosen(Draws(tf.constant([1, 2]), np.zeros((4000, 1, 1, 3))))
    table = np.stack(list(chosen.values()))
    assert list(chosen) == list(layer.operations)
    assert (table.sum(0) == 3).all()
    assert stats.chisquare(table.sum(1)).pvalue > 1e-3
    images = pictures(3)
    np.testing.assert_allclose(augment.RandAugment(0)(images), images, atol=1e-3)
    np.testing.assert_allclose(
        augment.RandAugment(5, 0.0, operations=layer.operations[:9])(images), images, atol=0.02
    )


def test_all_operations_at_once_agree_compiled_and_plain(monkeypatch):
    images = pictures(9)
    made = []
    for worth in (10**9, 0):
        monkeypatch.setattr(_compile, "_WORTH_COMPILING", worth)
        layer = augment.RandAugment(11, 0.3, seed=3, dtype="uint8")
        made.append(np.asarray(layer(images)).astype(int))
    assert (
        np.abs(made[0] - made[1]) > 2
    ).mean() < 0.02  # a value may fall to either side of a step
