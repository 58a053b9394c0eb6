"""Inverted dropout keeps the expectation, does nothing at inference, and acts like an ensemble that
keeps hidden units from relying on each other.

Kept units are divided by the share that is kept, so the mean over all masks is the input: exactly
in a linear layer, nearly through a relu. All 2^10 masks of ten inputs are tried, not a sample. Then
a network learns few pictures with and without dropout: one pass at inference against the mean of
100 passes with dropout on; how alike its hidden units are; the gap between training and test.
"""

import itertools

import keras
import numpy as np
import style
from images import accuracy, fashion, standardized, train
from lesson import Lesson, Point, run

RATE = 0.5
INPUTS = 10
EXACT = 1e-6
NEARLY = 0.5  # of the deviation of what a single mask gives
PASSES = 100


def all_masks() -> tuple[np.ndarray, np.ndarray]:
    """Every mask of ten inputs, scaled as inverted dropout scales it, and its probability."""
    kept = np.array(list(itertools.product((0.0, 1.0), repeat=INPUTS)))
    chance = np.prod(np.where(kept == 1, 1 - RATE, RATE), axis=1)
    return kept / (1 - RATE), chance


def expectation(seed: int) -> tuple[float, float, bool]:
    """How far the mean over all masks is off, linear and through relu; and Keras's scaling."""
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=INPUTS), rng.normal(size=(INPUTS, 200)) / np.sqrt(INPUTS)
    masks, chance = all_masks()
    dropped = (masks * x) @ weights
    linear = np.abs(chance @ dropped - x @ weights).max()
    through, whole = np.maximum(dropped, 0), np.maximum(x @ weights, 0)
    noise = np.sqrt(chance @ (through - chance @ through) ** 2).mean()
    layer = keras.layers.Dropout(RATE, seed=seed)
    ones = np.ones((50, 50), np.float32)
    scaled = set(np.unique(layer(ones, training=True))) == {0.0, 1 / (1 - RATE)}
    scaled &= np.array_equal(layer(ones, training=False), ones)
    return float(linear), float(np.abs(chance @ through - whole).mean() / noise), bool(scaled)


def build(data, rate: float) -> keras.Model:
    """Two hidden layers of 128 units, each followed by dropout."""
    images = keras.Input(data.image_shape)
    x = keras.layers.Flatten()(standardized(data)(images))
    for name in ("hidden_1", "hidden_2"):
        x = keras.layers.Dense(128, "relu", kernel_initializer="he_normal", name=name)(x)
        x = keras.layers.Dropout(rate)(x)
    return keras.Model(images, keras.layers.Dense(data.classes)(x))


def alike(model: keras.Model, x: np.ndarray) -> float:
    """The mean absolute correlation of two hidden units that are both alive."""
    hidden = keras.Model(model.input, model.get_layer("hidden_2").output)
    values = np.asarray(hidden(x, training=False))
    values = values[:, values.std(0) > 1e-6]
    table = np.abs(np.corrcoef(values.T))
    return float(table[np.triu_indices_from(table, 1)].mean())


def ensemble(model: keras.Model, x: np.ndarray, y: np.ndarray, passes: int) -> float:
    """Accuracy in percent of the mean of many passes with dropout on."""
    total = sum(np.asarray(keras.ops.softmax(model(x, training=True))) for _ in range(passes))
    return 100 * float(np.mean(total.argmax(-1) == y))


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((600, 2000), (200, 300)))
    inside, y_inside = data.train.x.astype("float32"), data.train.y
    x, y = data.test.x.astype("float32"), data.test.y
    exact = [expectation(seed) for seed in lesson.seeds]
    rows: dict[str, dict[str, list[float]]] = {}
    for name, rate in (("without dropout", 0.0), (f"dropout {RATE}", RATE)):
        row = rows[name] = {"training": [], "test": [], "100 passes": [], "alike": []}
        for seed in lesson.seeds:
            keras.utils.set_random_seed(seed)
            model = build(data, rate)
            train(model, inside, y_inside, rate=0.02, epochs=lesson.of(80, 2), seed=seed)
            row["training"].append(accuracy(model, inside, y_inside))
            row["test"].append(accuracy(model, x, y))
            row["100 passes"].append(ensemble(model, x, y, lesson.of(PASSES, 5)))
            row["alike"].append(alike(model, x))
    linear, through_relu, scaled = (np.array(values, float) for values in zip(*exact, strict=True))
    off = [("linear", ".1e", [linear]), ("relu, in deviations of one mask", ".2f", [through_relu])]
    lesson.compare("The mean over all masks of ten inputs", "layer", ["is off by"], off)
    learned = [(name, ".3g", row.values()) for name, row in rows.items()]
    columns = ("training, %", "test, %", "100 passes, %", "correlation of units")
    lesson.compare(f"{len(data.train)} training images", "network", columns, learned)
    without, with_it = ({k: np.array(v) for k, v in row.items()} for row in rows.values())
    gap = [row["training"] - row["test"] for row in (without, with_it)]
    ensembles = 1 - np.abs(with_it["test"] - with_it["100 passes"])
    apart = without["alike"] - with_it["alike"]
    points = [
        Point("a linear layer follows", EXACT - linear, f" below {EXACT:.0e}"),
        Point("a relu follows", NEARLY - through_relu, f" deviations below {NEARLY}"),
        Point("it is inference", 2 * scaled - 1, words="nothing changes"),
        Point("one pass stands for 100", ensembles, " points nearer than 1"),
        Point("units may rely on each other", apart, " of correlation less"),
        Point("training is compared with test", gap[0] - gap[1], " points of gap closed"),
    ]
    figure = lesson.figure(7.2, 2.6)
    alikes = without["alike"], with_it["alike"]
    shown = {"accuracy gap, points": gap, "correlation of hidden units": alikes}
    for place, (label, values) in enumerate(shown.items(), 1):
        ax = style.axes(figure, (1, 2, place), x=label, y="")
        style.bars(ax, list(rows), values, style.SERIES[:2])
    lesson.conclude(
        points, figure, "The gap between training and test, and how alike hidden units are."
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
