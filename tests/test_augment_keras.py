"""What a layer with the name of one of Keras's shares with it: defaults, and pixels."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kcnn import augment

NAMES = sorted(
    name for name in augment.__all__ if hasattr(keras.layers, name) and name != "Pipeline"
)
FIXED = {
    "RandomTranslation": {"height_factor": (0.2, 0.2), "width_factor": (-0.1, -0.1)},
    "RandomZoom": {"height_factor": (0.3, 0.3), "width_factor": (-0.2, -0.2)},
    "RandomRotation": {"factor": (0.1, 0.1)},
}


def smooth(count=3, size=(40, 36)):
    coarse = np.random.default_rng(0).uniform(0, 255, (count, 5, 5, 3)).astype(np.float32)
    return tf.image.resize(coarse, size, "bicubic").numpy().clip(0, 255)


def arguments(layer):
    """Defaults of the constructor, those of its bases included."""
    found = {}
    for kind in reversed(layer.__mro__):
        if "__init__" in vars(kind) and issubclass(kind, keras.layers.Layer):
            for name, one in inspect.signature(kind.__init__).parameters.items():
                if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                    found[name] = one.default
    return found


@pytest.mark.parametrize("name", NAMES)
def test_arguments_of_the_same_name_have_the_same_default_and_place(name):
    ours, theirs = (arguments(getattr(module, name)) for module in (augment, keras.layers))
    shared = set(ours) & set(theirs) - {"self", "dtype", "args", "kwargs"}
    assert "data_format" in shared
    for argument in shared:
        a, b = ours[argument], theirs[argument]
        needed = inspect.Parameter.empty
        assert a == b or (b is needed and a is None), argument  # RandomCrop's sides may stay
    first = next(iter(inspect.signature(getattr(keras.layers, name)).parameters))
    if first in ours and first not in ("seed", "value_range"):
        assert next(iter(inspect.signature(getattr(augment, name)).parameters)) == first


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["reflect", "nearest", "constant"])
@pytest.mark.parametrize("name", FIXED)
def test_fixed_moves_give_the_pixels_of_keras(name, fill_mode, interpolation):
    images = smooth()
    options = {**FIXED[name], "fill_mode": fill_mode, "interpolation": interpolation}
    ours = np.asarray(getattr(augment, name)(**options)(images))
    theirs = np.asarray(getattr(keras.layers, name)(**options)(images, training=True))
    near = np.abs(ours - theirs).max(-1) < 0.5
    assert near.mean() > (0.93 if interpolation == "bilinear" else 0.9)  # borders, rounded halves
    assert near[:, 14:-14, 14:-14].mean() > (0.999 if interpolation == "bilinear" else 0.9)


def test_a_crop_of_too_small_an_image_is_what_the_docstring_of_keras_says():
    """Its code cuts out no window first, so that the aspect ratio is lost; Resizing does it."""
    for size in ((60, 60), (50, 20), (20, 72)):
        images = smooth()
        theirs = keras.layers.Resizing(*size, crop_to_aspect_ratio=True)(images)
        ours = augment.RandomCrop(*size)(images)
        inner = (slice(None), slice(2, -2), slice(2, -2))  # the border sees half a pixel further
        np.testing.assert_allclose(np.asarray(ours)[inner], np.asarray(theirs)[inner], atol=0.05)
        assert ours.shape == (3, *size, 3)


def test_shear_has_the_slope_of_keras_and_the_sign_of_its_docstring():
    images = np.zeros((1, 41, 41, 1), np.float32)
    images[0, 30, 20] = 255.0  # ten below the middle
    moved = np.asarray(augment.RandomShear((0.2, 0.2))(images))[0, ..., 0]
    assert np.unravel_index(moved.argmax(), moved.shape) == (30, 22)
    layer = keras.layers.RandomShear((0.2, 0.2), fill_mode="constant")
    given = {"input_shape": images.shape, "shear_factor": tf.constant([[-0.2, 0.0]])}
    theirs = np.asarray(layer.transform_images(tf.constant(images), given))[0, ..., 0]
    row, column = np.unravel_index(theirs.argmax(), theirs.shape)
    assert (row, column - 4) == (30, 22)  # about the corner: a fifth of twenty rows further


def test_erasing_with_keras_factor_erases_as_often_and_fills_with_its_noise():
    images = np.full((600, 16, 16, 3), 100.0, np.float32)
    ours = np.asarray(augment.RandomErasing(0.6, seed=1)(images))
    theirs = np.asarray(keras.layers.RandomErasing(0.6, seed=1)(images, training=True))
    rates = [(x != 100).any((1, 2, 3)).mean() for x in (ours, theirs)]
    np.testing.assert_allclose(rates, 0.3, atol=0.06)
    levels = [np.quantile(x[x != 100], (0.25, 0.6, 0.75, 0.95)) for x in (ours, theirs)]
    np.testing.assert_allclose(*levels, atol=12)


def test_gray_is_drawn_as_often_as_keras_does():
    images = np.random.default_rng(0).uniform(0, 255, (400, 4, 4, 3)).astype(np.float32)
    for layer in (augment.RandomGrayscale(seed=1), keras.layers.RandomGrayscale(seed=1)):
        gray = np.ptp(np.asarray(layer(images)), axis=3).max((1, 2)) < 1e-2
        assert abs(gray.mean() - 0.5) < 0.1
