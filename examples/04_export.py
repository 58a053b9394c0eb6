"""From a trained network to a folder that answers for JPEG files where kcnn is not installed.

Trains on the embedded digits, exports with the preprocessing in the graph, then asks the
SavedModel with TensorFlow alone: for the bytes of JPEG files, four times as large as the images
the network was trained on. Takes about half a minute on two cores.
"""

import argparse
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kcnn
from kcnn.data import channel_stats, load
from kcnn.serving import export


def train(digits, epochs: int) -> keras.Model:
    """A small network that normalizes by itself: raw images in, logits out."""
    model = kcnn.create_model(
        "resnet20",
        classes=digits.classes,
        input_shape=digits.image_shape,
        preprocess=digits.preprocessing.normalized(channel_stats(digits.train)).layer(),
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(digits.train.batches(32, shuffle=True), epochs=epochs, verbose=2)
    return model


def jpeg_files(images) -> list[bytes]:
    """The images (n, h, w, 1), 0..255, enlarged fourfold, as the bytes of JPEG files."""
    large = tf.image.resize(images, [4 * side for side in images.shape[1:3]], method="bicubic")
    large = tf.cast(tf.clip_by_value(tf.round(large), 0, 255), tf.uint8)
    return [tf.io.encode_jpeg(image, quality=95).numpy() for image in large]


def main(epochs: int = 8, out: str | None = None) -> float:
    """Train, export, ask; return the share of the test images that are named rightly."""
    keras.utils.set_random_seed(0)
    digits = load("digits")
    folder = Path(out or tempfile.mkdtemp()) / "digits"
    written = export(
        train(digits, epochs),
        folder,
        class_names=digits.class_names,
        facts={"data": {"name": digits.name, "train": len(digits.train)}},
    )
    card = json.loads((written / "assets" / "card.json").read_text(encoding="utf-8"))
    print(f"written to {written}; {card['limits'][1]}")

    served = tf.saved_model.load(str(written))  # from here on TensorFlow alone
    answer = served.signatures["serving_bytes"](
        image_bytes=tf.constant(jpeg_files(digits.test.x[:200]))
    )
    names = answer["label"].numpy().astype(str)
    true = np.array(digits.class_names)[digits.test.labels[:200]]
    for label, top, shares in zip(
        true[:4], answer["top_labels"].numpy(), answer["top_probabilities"].numpy(), strict=False
    ):
        best = ", ".join(f"{n.decode()} {p:.0%}" for n, p in zip(top[:3], shares[:3], strict=True))
        print(f"shown {label}, answered {best}")
    right = float((names == true).mean())
    print(f"JPEG files named rightly: {right:.1%}")
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", help="Folder of the models. Default: a temporary one.")
    main(**vars(parser.parse_args()))
