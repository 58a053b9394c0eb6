"""The recipe from Python: your arrays in, a trained and exported network out.

The same six steps as `kcnn recipe`, on an .npz file made here from the embedded digits, and then
the exported SavedModel answers for raw images. Takes about a minute on two cores.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from kcnn.data import load
from kcnn.recipe import RecipeConfig, run_recipe


def main(out: str | None = None) -> dict:
    """Run the recipe with the quick budget; return its record."""
    folder = Path(out or tempfile.mkdtemp())
    digits = load("digits")
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "digits.npz",
        x=digits.train.x,
        y=digits.train.y,
        x_test=digits.test.x,
        y_test=digits.test.y,
    )
    config = RecipeConfig(data=str(folder / "digits.npz"), budget="quick", augment="crop")
    record = run_recipe(config, folder / "run", overwrite=True)

    served = tf.saved_model.load(str(folder / "run" / "saved_model" / "1"))
    answer = served.signatures["serving_default"](tf.constant(digits.test.x[:5], tf.float32))
    print("true    ", digits.test.y[:5])
    print("served  ", answer["probabilities"].numpy().argmax(axis=1))
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="folder to write to (default: a temporary one)")
    main(**vars(parser.parse_args()))
