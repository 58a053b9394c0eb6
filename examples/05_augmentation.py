"""Augmentation to look at: one photograph through every layer, and a training with MixUp.

Draws what each layer and preset of `kcnn.augment` makes of a picture into one contact sheet, then
trains a small network on the digits with MixUp and CutMix in the pipeline: the images come with
one-hot labels, the labels leave soft, and the usual categorical loss and accuracy fit. Takes about
half a minute on two cores.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import kcnn
from kcnn import augment
from kcnn.data import load

COLUMNS = 6


def layers(shape):
    """Name and layer, in the order of the sheet."""
    yield "RandomFlip", augment.RandomFlip(seed=0)
    yield "RandomCrop", augment.RandomCrop(padding=0.25, seed=0)
    yield "RandomResizedCrop", augment.RandomResizedCrop(seed=0)
    yield "RandomRotation", augment.RandomRotation(0.1, seed=0)
    yield "RandomShear", augment.RandomShear(0.3, seed=0)
    yield "RandomZoom", augment.RandomZoom(0.4, seed=0)
    yield "RandomTranslation", augment.RandomTranslation(0.3, 0.3, seed=0)
    yield "ColorJitter", augment.ColorJitter(0.4, 0.4, 0.4, 0.1, seed=0)
    yield "RandomGrayscale", augment.RandomGrayscale(seed=0)
    yield "AutoContrast", augment.AutoContrast(seed=0)
    yield "Equalization", augment.Equalization(seed=0)
    yield "RandomPosterization", augment.RandomPosterization((1, 4), seed=0)
    yield "Solarization", augment.Solarization(0.0, 0.9, seed=0)
    yield "RandomSharpness", augment.RandomSharpness(1.0, seed=0)
    yield "RandomCutout", augment.RandomCutout(seed=0)
    yield "RandomErasing", augment.RandomErasing(rate=1.0, seed=0)
    yield "RandAugment", augment.RandAugment(seed=0)
    yield "MixUp", augment.MixUp(1.0, seed=0)
    yield "CutMix", augment.CutMix(seed=0)
    for kind in ("crop", "standard", "strong"):
        yield f'augmentation("{kind}")', augment.augmentation(kind, shape, seed=0)


def photographs():
    """Two photographs, (2, 160, 160, 3) in 0..255."""
    from sklearn.datasets import load_sample_images  # they come with scikit-learn

    squares = [image[:427, 100:527] for image in load_sample_images().images]
    return np.asarray(keras.ops.image.resize(np.stack(squares).astype(np.float32), (160, 160)))


def contact_sheet(images, path):
    """A row for each layer: what it makes of the same pictures."""
    which = np.arange(COLUMNS) % 2
    batch = {"images": images[which], "labels": np.eye(2, dtype=np.float32)[which]}
    rows = list(layers(images.shape[1:]))
    figure = Figure(figsize=(1.4 * COLUMNS, 1.6 * len(rows)))
    for row, (name, layer) in enumerate(rows):
        changed = np.asarray(layer(batch)["images"]) / 255.0
        for column in range(COLUMNS):
            axes = figure.add_subplot(len(rows), COLUMNS, row * COLUMNS + column + 1)
            axes.imshow(np.clip(changed[column], 0.0, 1.0))
            axes.set_axis_off()
            if column == 0:
                axes.set_title(name, loc="left", fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=70)


def train(epochs):
    """Train on mixed digits; return the accuracy on the test split."""
    digits = load("digits")
    model = kcnn.create_model("resnet20", classes=digits.classes, input_shape=digits.image_shape)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.CategoricalCrossentropy(from_logits=True),  # takes soft labels
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    mix = augment.augmentation("crop", digits.image_shape, mix="either", seed=0)

    def one_hot(images, labels):
        return images, keras.ops.one_hot(labels, digits.classes)

    model.fit(
        digits.train.batches(64, shuffle=True, augment=mix),  # soft labels come with the images
        epochs=epochs,
        validation_data=digits.val.batches(256).map(one_hot),
        verbose=2,
    )
    _, accuracy = model.evaluate(digits.test.batches(256).map(one_hot), verbose=0)
    return accuracy


def main(out="augmentation.png", epochs=10):
    keras.utils.set_random_seed(0)
    contact_sheet(photographs(), Path(out))
    print(f"contact sheet: {out}")
    print(f"test accuracy {train(epochs):.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="augmentation.png")
    parser.add_argument("--epochs", type=int, default=10)
    main(**vars(parser.parse_args()))
