"""Each layer that moves pixels, against a plain reference, one image at a time.

An image whose pixels hold their own coordinates tells where an output pixel was read, so the same
seed on it and on a random image gives parameters and result without looking into the layer.
"""

import numpy as np
import pytest
from _augment import SIZE, assert_uniform, noise
from scipy import ndimage, stats

from kcnn import augment
from kcnn.augment import _compile

# It would take longer than the work; that both agree is a test of its own.
pytestmark = pytest.mark.usefixtures("small_images_are_not_compiled")


def coordinates(count, size=SIZE):
    """Images (count, h, w, 2) whose channels are the row and column of each pixel's centre."""
    y, x = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    return np.repeat(np.stack([y, x], -1)[None].astype(np.float32) + 0.5, count, 0)


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
