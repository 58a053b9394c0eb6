"""Segmentation: a small feature pyramid on the features of a classification network.

Handwritten digits lie scattered on a canvas, and every pixel shall say which digit it belongs to.
`features_only=True` turns any network into one that gives its maps at each size; the pyramid (Lin
et al. 2017, arXiv:1612.03144) adds the coarse ones, enlarged, to the fine ones. Takes about a
minute on two cores.
"""

import argparse

import keras
import numpy as np

import kcnn
from kcnn.data import load
from kcnn.layers import ConvNormAct

SIDE = 48  # pixels of the canvas
DIGIT = 16  # pixels of a digit on it
INK = 64  # of 255: a pixel as dark belongs to its digit
CLASSES = 11  # the background and ten digits


def scenes(split, n: int, seed: int, per_scene: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """n canvases (n, SIDE, SIDE, 1) of 0..255 and the class of every pixel (n, SIDE, SIDE)."""
    rng = np.random.default_rng(seed)
    digits, labels = split.images(np.arange(len(split))), split.labels
    digits = digits.repeat(DIGIT // 8, axis=1).repeat(DIGIT // 8, axis=2)
    images = np.zeros((n, SIDE, SIDE, 1), "float32")
    masks = np.zeros((n, SIDE, SIDE), "int32")
    for image, mask in zip(images, masks, strict=True):
        for which in rng.integers(len(digits), size=per_scene):
            top, left = rng.integers(SIDE - DIGIT, size=2)
            place = np.s_[top : top + DIGIT, left : left + DIGIT]
            ink = digits[which, :, :, 0] > INK
            image[place][ink] = digits[which][ink]
            mask[place][ink] = labels[which] + 1
    return images + rng.normal(0, 10, images.shape).astype("float32"), masks


def pyramid(network: str = "resnet20", channels: int = 32) -> keras.Model:
    """Images of any size to logits for each of their pixels."""
    backbone = kcnn.create_model(
        network,
        features_only=True,
        input_shape=(None, None, 1),
        preprocess=keras.layers.Rescaling(1 / 255),
    )
    for feature in kcnn.models.feature_info(backbone):
        print(f"  1/{feature.strides}: {feature.channels} channels after {feature.layer}")
    x = None
    for level in reversed(backbone.outputs):
        side = ConvNormAct(channels, 1, activation=None)(level)
        x = side if x is None else side + keras.layers.UpSampling2D(2)(x)
    x = ConvNormAct(channels, 3)(x)
    return keras.Model(backbone.input, keras.layers.Conv2D(CLASSES, 1)(x), name="pyramid")


def mean_iou(true: np.ndarray, predicted: np.ndarray) -> float:
    """Intersection over union, averaged over the digits."""
    pairs = [((true == c), (predicted == c)) for c in range(1, CLASSES)]
    return float(np.mean([(a & b).sum() / max(1, (a | b).sum()) for a, b in pairs]))


def main(epochs: int = 8, canvases: int = 512) -> None:
    """Train on canvases of training digits, measure on canvases of test digits."""
    keras.utils.set_random_seed(0)
    data = load("digits")
    x, y = scenes(data.train, canvases, seed=0)
    test_x, test_y = scenes(data.test, 100, seed=1)
    model = pyramid()
    steps = epochs * -(-len(x) // 8)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=2)
    found = model.predict(test_x, batch_size=50, verbose=0).argmax(-1)
    inked = test_y > 0
    print(f"pixels of digits named rightly: {(found == test_y)[inked].mean():.1%}")
    print(f"mean intersection over union of the digits: {mean_iou(test_y, found):.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--canvases", type=int, default=512)
    main(**vars(parser.parse_args()))
