"""Cut, erased and mixed images against their published recipes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from _augment import SIZE, noise
from scipy import stats

from kcnn import augment
from kcnn.augment._beta import symmetric_beta

# It would take longer than the work; that both agree is a test of its own.
pytestmark = pytest.mark.usefixtures("small_images_are_not_compiled")


def rectangles(holes):
    """(top, left, height, width) of the one rectangle in each (n, h, w); fails if it is none."""
    rows, columns = holes.any(2), holes.any(1)
    np.testing.assert_array_equal(holes, rows[:, :, None] & columns[:, None, :])
    for line in (rows, columns):
        assert (np.diff(line.astype(int), axis=1, prepend=0) == 1).sum(1).max() <= 1
    return np.stack([rows.argmax(1), columns.argmax(1), rows.sum(1), columns.sum(1)], 1)


def test_cutout_is_one_rectangle_around_any_pixel():
    images = np.full((2000, *SIZE, 3), 200, np.uint8)
    out = np.asarray(augment.RandomCutout(0.25, (0.2, 0.2), fill_value=7, seed=1)(images))
    hole = (out == 7).all(3)
    assert (out[~hole] == 200).all()
    box = rectangles(hole)
    whole = (box[:, 2] == 6) & (box[:, 3] == 4)
    inner_rows = SIZE[0] - 5  # of 24 centres those whose 6 rows lie inside
    assert stats.binomtest(int((box[:, 2] == 6).sum()), 2000, inner_rows / SIZE[0]).pvalue > 1e-3
    tops = np.bincount(box[whole, 0], minlength=inner_rows)
    assert stats.chisquare(tops).pvalue > 1e-3
    rate = np.asarray(augment.RandomCutout(rate=0.3, seed=2)(images)).min((1, 2, 3)) == 0
    assert stats.binomtest(int(rate.sum()), 2000, 0.3).pvalue > 1e-3


def test_erased_rectangles_lie_inside_with_the_areas_and_ratios_said():
    size = (100, 80)
    images = np.full((1200, *size, 1), 200, np.uint8)
    layer = augment.RandomErasing(
        scale=(0.1, 0.3), fill_value=0, ratio=(0.5, 2.0), rate=1.0, seed=1
    )
    box = rectangles(np.asarray(layer(images))[..., 0] == 0)
    area, ratio = box[:, 2] * box[:, 3] / 8000, box[:, 2] / box[:, 3]
    assert stats.kstest(area, "uniform", (0.1, 0.2)).pvalue > 1e-3
    assert stats.kstest(np.log(ratio), "uniform", (np.log(0.5), np.log(4.0))).pvalue > 1e-3
    rng = np.random.default_rng(0)
    place = (box[:, 0] + rng.random(len(box))) / (size[0] - box[:, 2] + 1)
    assert stats.kstest(place, "uniform").pvalue > 1e-3


def test_mixup_blends_images_and_labels_by_beta_shares():
    images, labels = noise(500, (6, 5)), np.eye(500, dtype=np.float32)
    out = augment.MixUp(0.4, seed=1)({"images": images, "labels": labels})
    mixed, soft = np.asarray(out["images"]), np.asarray(out["labels"])
    np.testing.assert_allclose(soft.sum(1), 1.0, atol=1e-5)
    want = np.tensordot(soft, images.astype(np.float32), 1)
    np.testing.assert_allclose(mixed, want, atol=0.02)
    met = soft.copy()
    np.fill_diagonal(met, 0)
    others = met.argmax(1)[met.max(1) > 0]
    assert len(set(others)) == len(others)  # a permutation
    own = np.diag(soft)[(met.max(1) > 0)]
    assert stats.kstest(own, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_every_other_image_of_a_batch_is_as_likely_a_partner_and_none_is_its_own():
    images, labels = noise(4, (6, 5)), np.eye(4, dtype=np.float32)
    layer = augment.CutMix(30.0, seed=1)
    rows = tf.data.Dataset.from_tensors({"images": images, "labels": labels}).repeat(400)
    soft = np.stack([out["labels"] for out in rows.map(lambda x: layer(x))])
    partners = (soft - soft * np.eye(4)).argmax(2)
    assert (soft.max(2) < 1).mean() > 0.95
    assert (partners != np.arange(4)).all()
    for own in range(4):
        met = np.bincount(partners[:, own], minlength=4)
        assert stats.chisquare(np.delete(met, own)).pvalue > 1e-3
    alone = layer({"images": images[:1], "labels": labels[:1]})
    np.testing.assert_allclose(alone["images"], images[:1], atol=1e-3)
    np.testing.assert_allclose(alone["labels"], labels[:1], atol=1e-6)


def test_random_mix_blends_one_half_and_cuts_the_other():
    images, labels = noise(600, (16, 16)), np.eye(600, dtype=np.float32)
    out = augment.RandomMix(20.0, 1.0, rate=0.8, seed=1)({"images": images, "labels": labels})
    mixed, soft = np.asarray(out["images"]), np.asarray(out["labels"])
    np.testing.assert_allclose(soft.sum(1), 1.0, atol=1e-5)
    whole = np.diag(soft) == 1
    assert stats.binomtest(int(whole.sum()), 600, 0.2 + 0.4 * 0.03).pvalue > 1e-3
    np.testing.assert_array_equal(mixed[whole], images[whole])
    blended = np.abs(mixed - np.tensordot(soft, images.astype(np.float32), 1)).max((1, 2, 3)) < 0.02
    assert stats.binomtest(int((blended & ~whole).sum()), 600, 0.4).pvalue > 1e-3
    partner = (soft - np.diag(np.diag(soft))).argmax(1)
    for i in np.flatnonzero(~blended):
        own, theirs = mixed[i] == images[i], mixed[i] == images[partner[i]]
        assert (own | theirs).all()
        np.testing.assert_allclose(own.all(-1).mean(), soft[i, i], atol=0.01)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 20.0])
def test_shares_follow_the_beta_distribution(alpha):
    seeds = itertools.count()
    found = symmetric_beta(alpha, 5000, lambda: (7, next(seeds)))
    law = stats.beta(alpha, alpha)
    grid = np.linspace(0.001, 0.999, 200)  # nearer to 1 than float32 has numbers for a small alpha
    off = np.abs((np.asarray(found)[:, None] <= grid).mean(0) - law.cdf(grid)).max()
    assert off < stats.kstwo(5000).isf(1e-4)


@pytest.mark.parametrize("make", [augment.MixUp, augment.CutMix])
def test_mixing_is_compiled_whole(make):
    images, labels = noise(40, (6, 5)), np.eye(40, dtype=np.float32)
    layer = make(alpha=1.0, seed=1)
    out = tf.function(layer, jit_compile=True)({"images": images, "labels": labels})
    mixed, soft = np.asarray(out["images"]), np.asarray(out["labels"])
    assert (np.diag(soft) < 1).sum() > 20
    np.testing.assert_allclose(soft.sum(1), 1.0, atol=1e-5)
    if make is augment.MixUp:
        want = np.tensordot(soft, images.astype(np.float32), 1)
        np.testing.assert_allclose(mixed, want, atol=1.01)
    else:
        own = (mixed == images).all(-1).mean((1, 2))
        np.testing.assert_allclose(own, np.diag(soft), atol=0.01)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels():
    images, labels = noise(800, (32, 32)), np.eye(800, dtype=np.float32)
    out = augment.CutMix(1.0, seed=1)({"images": images, "labels": labels})
    mixed, soft = np.asarray(out["images"]), np.asarray(out["labels"])
    theirs = (mixed != images).any(3)
    partner = np.where(soft - np.diag(np.diag(soft)) > 0, 1, 0).argmax(1)
    foreign = images[partner].astype(np.float32)
    assert (mixed[theirs] == foreign[theirs]).all()
    area = np.array([(m == f).all(-1).mean() for m, f in zip(mixed, foreign, strict=True)])
    other = np.diag(soft) < 1
    np.testing.assert_allclose(1 - np.diag(soft)[other], area[other], atol=2e-3)
    own = np.diag(soft)
    assert 0.55 < own.mean() < 0.70  # half of the area, less what falls outside the image


@pytest.mark.parametrize("make", [augment.MixUp, augment.CutMix])
def test_mixing_needs_one_hot_labels_and_a_batch(make):
    images, layer = noise(4), make()
    for given, said in [
        (images, "changes labels too"),
        ({"images": images}, "changes labels too"),
        ({"images": images, "labels": np.arange(4)}, "one-hot float labels"),
        ({"images": images[0], "labels": np.eye(4, dtype=np.float32)[0]}, "one-hot float labels"),
    ]:
        with pytest.raises(ValueError, match=said):
            layer(given)
    assert keras.ops.shape(layer(images, training=False)) == images.shape
