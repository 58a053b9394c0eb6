"""Each augmentation layer against a plain reference, one image at a time.

An image whose pixels hold their own coordinates tells where an output pixel was read, so the same
seed on it and on a random image gives parameters and result without looking into the layer.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

from kcnn import augment
from kcnn.augment import _compile
from kcnn.augment._beta import symmetric_beta

SIZE = (24, 20)


@pytest.fixture(autouse=True)
def small_images_are_not_compiled(monkeypatch):
    """It would take longer than the work; that both agree is a test of its own."""
    monkeypatch.setattr(_compile, "_WORTH_COMPILING", 2048)


def coordinates(count, size=SIZE):
    """Images (count, h, w, 2) whose channels are the row and column of each pixel's centre."""
    y, x = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    return np.repeat(np.stack([y, x], -1)[None].astype(np.float32) + 0.5, count, 0)


def noise(count, size=SIZE, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *size, channels)).astype(np.uint8)


def moved(make, images, seed=7):
    """Where the layer reads each output pixel, and what it makes of `images`."""
    where = np.asarray(make(seed=seed, fill_mode="nearest")(coordinates(len(images))))
    inside = np.asarray(make(seed=seed)(np.ones((len(images), *SIZE, 1), np.float32)))[..., 0] > 0
    return where, inside, np.asarray(make(seed=seed)(images))


def unfilled(make):
    """A maker of a layer that has nothing to fill."""
    return lambda fill_mode="constant", **kw: make(**kw)


def filled(layer, *factors):
    """A maker of a layer that fills with black unless told otherwise."""
    return lambda fill_mode="constant", **kw: layer(*factors, fill_mode=fill_mode, **kw)


GEOMETRY = {
    "flip": unfilled(lambda **kw: augment.RandomFlip("horizontal_and_vertical", **kw)),
    "crop": lambda **kw: augment.RandomCrop(padding=(3, 0.1), **kw),
    "resized crop": unfilled(lambda **kw: augment.RandomResizedCrop(scale=(0.2, 1.0), **kw)),
    "smaller resized crop": unfilled(lambda **kw: augment.RandomResizedCrop((9, 13), **kw)),
    "rotation": filled(augment.RandomRotation, 0.2),
    "shear": filled(augment.RandomShear, 0.3, 0.2),
    "zoom": filled(augment.RandomZoom, 0.4, 0.2),
    "translation": filled(augment.RandomTranslation, 0.3, 0.2),
    "chain": lambda fill_mode="constant", **kw: augment.Pipeline(
        [
            augment.RandomFlip(),
            augment.RandomCrop(padding=2, fill_mode=fill_mode),
            augment.RandomRotation(0.1, fill_mode=fill_mode),
            augment.RandomZoom(0.3, fill_mode=fill_mode),
            augment.RandomShear(0.2, fill_mode=fill_mode),
        ],
        **kw,
    ),
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_moved_pixels_are_bilinear_samples_of_where_they_come_from(name):
    images = noise(12)
    where, inside, out = moved(GEOMETRY[name], images)
    assert 0.3 < inside.mean() <= 1.0
    for image, at, seen, result in zip(images.astype(float), where, inside, out, strict=True):
        for channel in range(3):
            want = ndimage.map_coordinates(
                image[..., channel], [at[..., 0] - 0.5, at[..., 1] - 0.5], order=1, mode="nearest"
            )
            np.testing.assert_allclose(result[..., channel][seen], want[seen], atol=0.02)
        assert (result[~seen] == 0).all()


@pytest.mark.parametrize("name", GEOMETRY)
def test_compiled_and_plain_kernels_agree(name, monkeypatch):
    images = noise(9)  # filled up to 10
    plain = np.asarray(GEOMETRY[name](seed=3)(images))
    monkeypatch.setattr(_compile, "_WORTH_COMPILING", 0)
    fast = np.asarray(GEOMETRY[name](seed=3)(images))
    assert (np.abs(plain - fast) > 0.05).mean() < 0.001  # a border pixel may fall on either side


def fitted(make, count=600):
    """The affine map (y0, yy, yx, x0, xy, xx) of each image, from all but its border.

    There the coordinates stop at the centres of the outermost pixels.
    """
    where = np.asarray(make(coordinates(count)))[:, 4:-4, 4:-4]
    y, x = np.meshgrid(
        np.arange(where.shape[1]) + 4.5, np.arange(where.shape[2]) + 4.5, indexing="ij"
    )
    design = np.stack([np.ones(y.size), y.ravel(), x.ravel()], 1)
    maps = []
    for image in where:
        solved, left, *_ = np.linalg.lstsq(design, image.reshape(-1, 2), rcond=None)
        assert left.max(initial=0) < 1e-2
        maps.append(solved.T.ravel())
    return np.array(maps)


def inner(make, count=600, pad=40):
    """As `fitted`, for maps that leave the image: a window in the middle of a larger one."""
    size = (SIZE[0] + 2 * pad, SIZE[1] + 2 * pad)
    where = np.asarray(make(coordinates(count, size)))
    rows, columns = slice(pad, pad + SIZE[0]), slice(pad, pad + SIZE[1])
    where = where[:, rows, columns]
    y, x = np.meshgrid(
        np.arange(pad, pad + SIZE[0]) + 0.5, np.arange(pad, pad + SIZE[1]) + 0.5, indexing="ij"
    )
    y, x = y - size[0] / 2, x - size[1] / 2
    design = np.stack([np.ones(y.size), y.ravel(), x.ravel()], 1)
    maps = np.array([np.linalg.lstsq(design, i.reshape(-1, 2), rcond=None)[0].T for i in where])
    maps[:, 0, 0] -= size[0] / 2
    maps[:, 1, 0] -= size[1] / 2
    return maps, size


def assert_uniform(values, low, high):
    assert values.min() >= low - 1e-3
    assert values.max() <= high + 1e-3
    assert stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


def test_flips_come_at_their_rate_and_each_way_by_itself():
    layer = augment.RandomFlip("horizontal_and_vertical", rate=0.3, seed=1)
    maps = fitted(layer, 2000)
    flips = np.stack([maps[:, 1] < 0, maps[:, 5] < 0])
    assert stats.binomtest(int(flips[0].sum()), 2000, 0.3).pvalue > 1e-3
    assert stats.binomtest(int(flips[1].sum()), 2000, 0.3).pvalue > 1e-3
    assert stats.binomtest(int((flips[0] & flips[1]).sum()), 2000, 0.09).pvalue > 1e-3
    images = noise(2)
    always = np.asarray(augment.RandomFlip("vertical", rate=1.0)(images))
    np.testing.assert_array_equal(always, images[:, ::-1])
    sideways = np.asarray(augment.RandomFlip("horizontal", rate=1.0)(images))
    np.testing.assert_array_equal(sideways, images[:, :, ::-1])


def test_crops_are_whole_pixels_at_every_place_alike():
    images = noise(3000, (6, 5))
    padded = np.pad(images, ((0, 0), (2, 2), (1, 1), (0, 0)))
    out = np.asarray(augment.RandomCrop(4, 5, padding=(2, 1), seed=2)(images))
    places = np.full(len(images), -1)
    for place, (top, left) in enumerate((t, s) for t in range(7) for s in range(3)):
        same = (out == padded[:, top : top + 4, left : left + 5]).all((1, 2, 3))
        places[same] = place
    assert (places >= 0).all()
    assert stats.chisquare(np.bincount(places, minlength=21)).pvalue > 1e-3


def test_resized_crops_follow_the_published_recipe():
    """Areas and ratios of the first of ten tries that fits, drawn again here by rejection."""
    maps = fitted(augment.RandomResizedCrop(scale=(0.3, 1.0), ratio=(0.5, 2.0), seed=3), 1500)
    height, width = maps[:, 1] * SIZE[0], maps[:, 5] * SIZE[1]
    rng = np.random.default_rng(0)
    area = rng.uniform(0.3, 1.0, (20000, 10)) * SIZE[0] * SIZE[1]
    ratio = np.exp(rng.uniform(np.log(0.5), np.log(2.0), (20000, 10)))
    h, w = np.sqrt(area / ratio), np.sqrt(area * ratio)
    fits = (h <= SIZE[0]) & (w <= SIZE[1])
    first = fits.argmax(1)
    rows = np.arange(len(first))[fits.any(1)]
    h, w = h[rows, first[rows]], w[rows, first[rows]]
    assert stats.ks_2samp(height * width, h * w).pvalue > 1e-3
    assert stats.ks_2samp(width / height, w / h).pvalue > 1e-3
    place = maps[:, 0] / np.maximum(SIZE[0] - height, 1e-6)
    assert_uniform(place[SIZE[0] - height > 1.0], 0.0, 1.0)


def test_a_resized_crop_that_never_fits_is_the_largest_centred_one():
    maps = fitted(augment.RandomResizedCrop(scale=(1.0, 1.0), ratio=(2.0, 2.0), seed=3), 3)
    np.testing.assert_allclose(maps[:, 5] * SIZE[1], SIZE[1], rtol=1e-3)
    np.testing.assert_allclose(maps[:, 1] * SIZE[0], SIZE[1] / 2, rtol=1e-3)
    np.testing.assert_allclose(maps[:, 0], (SIZE[0] - SIZE[1] / 2) / 2, atol=0.02)


def test_rotation_turns_counter_clockwise_by_uniform_angles():
    maps, _ = inner(augment.RandomRotation((-0.1, 0.2), seed=4))
    assert_uniform(np.arctan2(maps[:, 0, 2], maps[:, 0, 1]) / (2 * np.pi), -0.1, 0.2)
    np.testing.assert_allclose(np.linalg.det(maps[:, :, 1:]), 1.0, atol=1e-3)
    np.testing.assert_allclose(maps[:, :, 0], 0.0, atol=1e-2)  # the centre stays
    square = noise(2, (9, 9))
    quarter = np.asarray(augment.RandomRotation((0.25, 0.25), fill_mode="nearest")(square))
    np.testing.assert_allclose(quarter, np.rot90(square, axes=(1, 2)), atol=0.01)


def test_shear_zoom_and_translation_draw_what_they_say():
    maps, _ = inner(augment.RandomShear((0.0, 0.3), (-0.2, 0.1), seed=5))
    assert_uniform(-maps[:, 1, 1], 0.0, 0.3)  # read from the left: moved to the right
    assert_uniform(-maps[:, 0, 2], -0.2, 0.1)
    maps, _ = inner(augment.RandomZoom((-0.3, 0.5), 0.2, seed=6))
    assert_uniform(maps[:, 0, 1], 0.7, 1.5)
    assert_uniform(maps[:, 1, 2], 0.8, 1.2)
    maps, _ = inner(augment.RandomZoom(0.3, seed=6))
    np.testing.assert_allclose(maps[:, 0, 1], maps[:, 1, 2], atol=1e-4)  # aspect kept
    maps, size = inner(augment.RandomTranslation(0.2, (0.0, 0.1), seed=7))
    assert_uniform(-maps[:, 0, 0] / size[0], -0.2, 0.2)
    assert_uniform(-maps[:, 1, 0] / size[1], 0.0, 0.1)


def test_fill_modes_are_those_of_scipy():
    images = noise(3)
    for mode, theirs in (("nearest", "nearest"), ("reflect", "reflect")):
        layer = augment.RandomTranslation((0.5, 0.5), (-0.25, -0.25), fill_mode=mode)
        for image, out in zip(images, np.asarray(layer(images)), strict=True):
            want = ndimage.shift(image.astype(float), (12, -5, 0), order=1, mode=theirs)
            np.testing.assert_allclose(out, want, atol=0.01)
    black = {"fill_mode": "constant", "fill_value": 9.0}
    lowered = augment.RandomTranslation((0.5, 0.5), 0.0, **black)(images)
    assert (np.asarray(lowered)[:, :12] == 9).all()


def jittered(image, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
    """One image (h, w, 3), written out."""
    gray = np.array([0.299, 0.587, 0.114])
    x = image.astype(float) * (1 + brightness)
    mean = (x @ gray).mean()
    x = mean + (x - mean) * (1 + contrast)
    luma = (x @ gray)[..., None]
    x = luma + (x - luma) * (1 + saturation)
    yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    turn = 2 * np.pi * hue
    rotation = [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]
    x = x @ (np.linalg.inv(yiq) @ np.array(rotation) @ yiq).T
    return np.clip(x, 0, 255)


@pytest.mark.parametrize(
    "factors",
    [
        {"brightness": 0.3},
        {"contrast": -0.4},
        {"saturation": 0.7},
        {"saturation": -1.0},
        {"hue": 0.1},
        {"brightness": -0.2, "contrast": 0.3, "saturation": -0.5, "hue": -0.07},
    ],
)
@pytest.mark.parametrize("size", [(8, 7), (32, 30)])  # plain and compiled
def test_colour_jitter_equals_the_formula_written_out(factors, size):
    off = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    given = {name: (value, value) for name, value in factors.items()}
    images = noise(4, size)
    out = np.asarray(augment.ColorJitter(**{**off, **given})(images))
    for image, result in zip(images, out, strict=True):
        np.testing.assert_allclose(result, jittered(image, **factors), atol=0.05)


def test_colour_factors_are_uniform_and_one_for_each_image():
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    flat = np.full((800, 4, 4, 3), 100, np.float32)
    out = np.asarray(augment.ColorJitter(**{**off, "brightness": (-0.5, 0.2)}, seed=1)(flat))
    assert np.ptp(out, axis=(1, 2, 3)).max() < 1e-3
    assert_uniform(out[:, 0, 0, 0] / 100 - 1, -0.5, 0.2)
    half = flat.copy()
    half[:, :2] = 60
    out = np.asarray(augment.ColorJitter(**{**off, "contrast": 0.4}, seed=1)(half))
    assert_uniform((out[:, 3, 0, 0] - out[:, 0, 0, 0]) / 40 - 1, -0.4, 0.4)
    np.testing.assert_allclose(out.mean((1, 2, 3)), 80, atol=1e-2)
    tint = flat + np.array([20, 0, -20], np.float32)
    out = np.asarray(augment.ColorJitter(**{**off, "saturation": 0.5}, seed=1)(tint))
    assert_uniform((out[:, 0, 0, 0] - out[:, 0, 0, 2]) / 40 - 1, -0.5, 0.5)
    out = np.asarray(augment.ColorJitter(**{**off, "hue": 0.2}, seed=1)(tint))
    yiq = np.array([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    before, after = (np.arctan2(*(yiq @ x[:, 0, 0].T)[::-1]) for x in (tint, out))
    assert_uniform((after - before) / (2 * np.pi), -0.2, 0.2)


def test_one_channel_takes_brightness_and_contrast_alone():
    images = noise(5, channels=1)
    layer = augment.ColorJitter((0.1, 0.1), (0.2, 0.2), 0.9, 0.5)
    x = images.astype(float) * 1.1
    mean = x.mean((1, 2, 3), keepdims=True)
    want = np.clip(mean + (x - mean) * 1.2, 0, 255)
    np.testing.assert_allclose(np.asarray(layer(images)), want, atol=0.02)


def test_grayscale_comes_at_its_rate():
    images = noise(1000, (4, 4))
    out = np.asarray(augment.RandomGrayscale(0.3, seed=1)(images))
    gray = np.ptp(out, axis=3).max((1, 2)) < 1e-2
    assert stats.binomtest(int(gray.sum()), 1000, 0.3).pvalue > 1e-3
    want = images[gray].astype(float) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(out[gray][..., 0], want, atol=0.02)
    np.testing.assert_allclose(out[~gray], images[~gray], atol=1e-3)


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
