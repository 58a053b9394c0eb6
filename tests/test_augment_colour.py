"""Each layer of colour against its formula written out, one image at a time."""

import numpy as np
import pytest
from _augment import assert_uniform, noise
from scipy import stats

from kcnn import augment

# It would take longer than the work; that both agree is a test of its own.
pytestmark = pytest.mark.usefixtures("small_images_are_not_compiled")


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
