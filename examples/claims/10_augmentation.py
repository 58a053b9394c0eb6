"""Augmentation makes a network better on pictures that it has not seen, the more the fewer it has.

The figure is a contact sheet: what each transform makes of the same two garments. Then a small
network learns 300 and 3,000 pictures for the same number of updates with none of the transforms,
with each alone and with all that move or cut; MixUp mixes labels, too.
"""

import keras
import numpy as np
import style
from images import accuracy, fashion, network
from lesson import Lesson, Point, run

from kcnn import augment
from kcnn.augment import Pipeline
from kcnn.data import Dataset, Split

UPDATES = 1500
BATCH = 64
COLUMNS = 8
TOGETHER = "all but mixup"


def transforms(seed: int) -> dict[str, list]:
    """Layers by name; "all" is the moves and the cutout, one after the other."""
    alone = {
        "flip": lambda: augment.RandomFlip("horizontal", seed=seed),
        "crop": lambda: augment.RandomCrop(padding=1 / 8, seed=seed),
        "rotation": lambda: augment.RandomRotation(0.04, seed=seed),
        "cutout": lambda: augment.RandomCutout(0.3, 0.3, seed=seed),
        "mixup": lambda: augment.MixUp(0.3, seed=seed),
    }
    together = [make() for name, make in alone.items() if name != "mixup"]
    return {
        "none": [],
        **{name: [make()] for name, make in alone.items()},
        TOGETHER: [Pipeline(together, seed=seed)],
    }


def reached(data: Dataset, images: Split, layers: list, seed: int, updates: int) -> float:
    """Test accuracy in percent after so many updates."""
    keras.utils.set_random_seed(seed)
    model = network(data)
    model.compile(
        keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.05, updates), momentum=0.9),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    batches = images.batches(
        BATCH, shuffle=True, repeat=True, augment=layers[0] if layers else None, seed=seed
    )
    if not (layers and layers[0].mixes_labels):
        batches = batches.map(lambda x, y: (x, keras.ops.one_hot(y, data.classes)))
    model.fit(batches, epochs=1, steps_per_epoch=updates, shuffle=False, verbose=0)
    return accuracy(model, data.test.x, data.test.y)


def contact_sheet(lesson: Lesson, data: Dataset, gained: dict[str, str]):
    """A row for each transform: what it makes of the same pictures, and what it gains."""
    which = np.arange(COLUMNS) % 2  # two pictures, so that MixUp has something to mix
    batch = {
        "images": data.train.x[which].astype("float32"),
        "labels": np.eye(data.classes, dtype="float32")[data.train.y[which]],
    }
    rows = transforms(0)
    figure = lesson.figure(7.4, 0.78 * len(rows))
    middle = {"color": style.INK, "va": "center"}
    for row, (name, layers) in enumerate(rows.items()):
        images = np.asarray(layers[0](batch)["images"]) if layers else batch["images"]
        for column in range(COLUMNS):
            ax = figure.add_subplot(len(rows), COLUMNS, row * COLUMNS + column + 1)
            style.show(ax, images[column, :, :, 0], cmap="gray", vmin=0, vmax=255)
            if column == 0:
                ax.text(-0.2, 0.5, name, ha="right", **middle, transform=ax.transAxes)
        ax.text(1.2, 0.5, gained.get(name, ""), **middle, transform=ax.transAxes)
    return figure


def main(lesson: Lesson) -> None:
    sizes = lesson.of((300, 3000), (100,))
    updates = lesson.of(UPDATES, 4)
    data = fashion(*lesson.of((3600, 2000), (200, 100)))
    names = list(transforms(0))
    found: dict[int, dict[str, list[float]]] = {size: {n: [] for n in names} for size in sizes}
    for seed in lesson.seeds:
        order = np.random.default_rng(seed).permutation(len(data.train))
        for size in sizes:
            images = data.train.subset(order[:size])
            for name, layers in transforms(seed).items():
                found[size][name].append(reached(data, images, layers, seed, updates))
    lesson.say(f"{updates} updates of {BATCH} images each, whatever the number of pictures.")
    columns = [f"{size} images" for size in sizes]
    rows = [(name, ".1f", [found[size][name] for size in sizes]) for name in names]
    lesson.compare("Test accuracy, %", "augmentation", columns, rows)
    gains = {
        (size, name): np.array(found[size][name]) - np.array(found[size]["none"])
        for size in sizes
        for name in names[1:]
    }
    few, many = sizes[0], sizes[-1]
    alone = {size: np.mean([gains[size, n] for n in names[1:-1]], axis=0) for size in sizes}
    points = [
        Point(f"{size} pictures are changed by {what}", gain[size], " points")
        for what, gain in (
            ("one transform, in the mean of them", alone),
            (TOGETHER, {size: gains[size, TOGETHER] for size in sizes}),
        )
        for size in sizes
    ]
    more = alone[few] - alone[many]
    points.append(Point(f"{few} pictures are compared with {many}", more, " points more gained"))
    gained = {"none": "points gained with\n" + " and ".join(f"{s:,}" for s in sizes) + " pictures"}
    gained |= {
        name: "   ".join(f"{np.mean(gains[size, name]):+.1f}" for size in sizes)
        for name in names[1:]
    }
    lesson.conclude(
        points,
        contact_sheet(lesson, data, gained),
        "What each transform makes of the same two garments.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
