"""The recipe from Python: your own model and arrays in, a trained and exported network out.

The same six steps as `kcnn recipe`, on a network written here, and then the exported SavedModel
answers for raw images. Takes about a minute on two cores.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from kcnn.data import load
from kcnn.recipe import Parameter, run


def build(hp):
    """A network of plain Keras; `hp` holds what the space names."""
    images = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 64, offset=-1)(images)
    for stage in range(2):
        x = keras.layers.Conv2D(hp["filters"] * 2**stage, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dropout(hp["dropout"])(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.Dense(10)(x))


def main(out: str | None = None) -> dict:
    """Run the recipe with the quick budget; return its record."""
    folder = Path(out or tempfile.mkdtemp()) / "run"
    digits = load("digits")
    record = run(
        build,
        digits,
        out=folder,
        space={"filters": [16, 32], "dropout": Parameter(low=0.0, high=0.5)},
        budget="quick",
        augment="crop",
        overwrite=True,
    )

    served = tf.saved_model.load(str(folder / "saved_model" / "1"))
    answer = served.signatures["serving_default"](tf.constant(digits.test.x[:5], tf.float32))
    print("true    ", digits.test.y[:5])
    print("served  ", answer["probabilities"].numpy().argmax(axis=1))
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="folder to write to (default: a temporary one)")
    main(**vars(parser.parse_args()))
