"""A folder of pictures: looked at once, decoded as needed, trained on without one big array.

Cuts small crops out of six photographs of scikit-image into a folder with one sub-folder for each
photograph, loads that folder, and trains a small network to tell from which one a crop comes. The
crops of one photograph are taken from places apart, so that none stands in two splits. The second
`load` reads no file again: what is known of each lies in kcnn's cache folder (`KCNN_CACHE`).
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from skimage import data as photographs

import kcnn
from kcnn.augment import augmentation
from kcnn.data import channel_stats, load

NAMES = ("astronaut", "brick", "chelsea", "coffee", "gravel", "rocket")
CROP = 48  # pixels


def write_crops(folder: Path, each: int) -> None:
    """`each` JPEG crops of every photograph, the photograph's name above them."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        photo = Image.fromarray(getattr(photographs, name)()).convert("RGB")
        (folder / name).mkdir(parents=True)
        places = [
            (x, y)
            for x in range(0, photo.width - CROP, CROP)
            for y in range(0, photo.height - CROP, CROP)
        ]
        for number in rng.permutation(len(places))[:each]:
            x, y = places[number]
            crop = photo.crop((x, y, x + CROP, y + CROP))
            crop.save(folder / name / f"{x:04d}_{y:04d}.jpg", quality=90)


def main(epochs: int = 10, each: int = 80) -> float:
    """Train on crops of photographs that lie in files; return the test accuracy."""
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "crops"
        write_crops(folder, each)
        for look in ("first", "second"):
            started = time.perf_counter()
            crops = load(folder, image_size=32)
            print(f"{look} look: {time.perf_counter() - started:.2f} s")
        print(f"{len(crops.train)} training crops of {crops.classes} photographs")
        print("\n".join([*crops.notes, *map(str, crops.warnings)]))

        model = kcnn.create_model(
            "resnet20", classes=crops.classes, input_shape=crops.image_shape,
            preprocess=crops.preprocessing.normalized(channel_stats(crops.train)).layer(),
        )  # fmt: skip
        model.compile(
            keras.optimizers.AdamW(0.003, weight_decay=1e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        augment = augmentation("crop", crops.image_shape, seed=0)
        model.fit(
            crops.train.batches(32, shuffle=True, augment=augment),
            epochs=epochs,
            validation_data=crops.val.batches(256),
            verbose=2,
        )
        _, accuracy = model.evaluate(crops.test.batches(256), verbose=0)
    print(f"test accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--each", type=int, default=80, help="crops of each photograph")
    main(**vars(parser.parse_args()))
