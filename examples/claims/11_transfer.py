"""With few images keep the pretrained features and train a new head; with many, fine-tune the whole
network; either is better than starting from scratch.

A small network first learns five classes of Fashion-MNIST from thousands of pictures. Then the
other five classes are learned from 5 to 1,000 pictures of each, in three ways: a new head on frozen
features, both stages of fine-tuning, and the same network from scratch, all at one rate and with
GroupNorm, which brings no statistics along. `kcnn.transfer.regime` says which of the first two it
would take.
"""

import keras
import numpy as np
import style
from images import accuracy, fashion, standardized, train
from lesson import Lesson, Point, mean_and_spread, run

import kcnn
from kcnn import transfer

SOURCE, TARGET = (0, 1, 2, 5, 7), (3, 4, 6, 8, 9)
PER_CLASS = (5, 50, 1000)
WAYS = ("new head", "fine-tuned", "from scratch")
RATE = 0.02


def body(data) -> keras.Model:
    """Four convolutions: images to maps of 64 channels."""
    images = keras.Input(data.image_shape)
    x = standardized(data)(images)
    for filters, strides in ((16, 1), (32, 2), (64, 1), (64, 2)):
        x = kcnn.layers.ConvNormAct(filters, strides=strides, norm="group")(x)
    return keras.Model(images, x, name="body")


def of_classes(split, classes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The images of these classes, numbered from 0."""
    rows = np.isin(split.y, classes)
    return split.x[rows].astype("float32"), np.searchsorted(classes, split.y[rows])


def pretrained(data, epochs: int) -> keras.Model:
    """The body after learning the source classes."""
    keras.utils.set_random_seed(0)
    backbone = body(data)
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, keras.layers.Dense(len(SOURCE))(pooled))
    train(model, *of_classes(data.train, SOURCE), rate=0.05, epochs=epochs)
    return backbone


def learned(way: str, data, weights: list, x, y, seed: int, updates: int) -> float:
    """Test accuracy in percent on the target classes."""
    keras.utils.set_random_seed(seed)
    backbone = body(data)
    if way != "from scratch":
        backbone.set_weights(weights)
    epochs = max(2, updates * 32 // len(x))
    if way == "from scratch":
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
        model = keras.Model(backbone.input, keras.layers.Dense(len(TARGET))(pooled))
        train(model, x, y, rate=RATE, epochs=epochs, batch_size=32, seed=seed)
        return accuracy(model, *of_classes(data.test, TARGET))
    model = transfer.linear_probe(backbone, len(TARGET))
    model.compile(
        keras.optimizers.SGD(RATE, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    if way == "new head":
        features = transfer.cache_features(model, x, y)
        transfer.fit_head(model, features, epochs=epochs, seed=seed, verbose=0)
    else:
        head = max(1, epochs // 4)
        stages = {"head_epochs": head, "epochs": epochs - head, "learning_rate": RATE}
        transfer.fine_tune(model, x, y, **stages, verbose=0)
    return accuracy(model, *of_classes(data.test, TARGET))


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((12500, 2000), (2000, 200)))
    sizes, updates, epochs = lesson.of((PER_CLASS, 600, 6), ((5,), 4, 1))
    weights = pretrained(data, epochs).get_weights()
    x, y = of_classes(data.train, TARGET)
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for seed in lesson.seeds:
        order = np.random.default_rng(seed).permutation(len(x))
        for way in WAYS:
            row = []
            for size in sizes:
                few = np.concatenate([order[y[order] == c][:size] for c in range(len(TARGET))])
                row.append(learned(way, data, weights, x[few], y[few], seed, updates))
            found[way].append(row)
    runs = {way: np.array(rows) for way, rows in found.items()}
    lesson.say(
        f"About {updates} updates of 32 images each; the source has {len(data.train):,} / 2."
    )
    lesson.table(
        "Test accuracy on the five new classes, %",
        ("images per class", *WAYS, "kcnn.transfer.regime says"),
        [
            (
                str(size),
                *(mean_and_spread(rows[:, i]) for rows in runs.values()),
                transfer.regime(size * len(TARGET), len(TARGET)).name,
            )
            for i, size in enumerate(sizes)
        ],
    )
    head, whole, scratch = (runs[way] for way in WAYS)
    either = np.maximum(head, whole) - scratch
    points = []
    for i, size in enumerate(sizes):
        few = transfer.regime(size * len(TARGET), len(TARGET)).name == "linear_probe"
        gain = (head - whole if few else whole - head)[:, i]
        better, worse = ("a new head", "fine-tuning")[:: 1 if few else -1]
        points += [
            Point(f"{better} is taken with {size} a class", gain, f" points beside {worse}"),
            Point(f"either is, with {size} a class", either[:, i], " points beside scratch"),
        ]
    figure = lesson.figure()
    ax = style.axes(figure, x="images per class", y="test accuracy, %")
    for color, (way, rows) in zip(style.SERIES, runs.items(), strict=False):
        style.line(ax, sizes, rows, color, way)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    style.legend(ax)
    lesson.conclude(
        points,
        figure,
        "Five new classes, learned from a few images or from many, by a network that knows five "
        "others, and by one that knows nothing.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
