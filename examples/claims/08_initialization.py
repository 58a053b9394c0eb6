"""Weights that start too small let the signal vanish, too large ones let it explode, Kaiming's keep
its size; a network with normalization forgives, one without does not.

First the experiment of the course: 7 layers of 4,096 ReLU units, their weights normal with a
deviation too small, too large, or sqrt(2 / inputs) (He et al., arXiv:1502.01852). Then a real
network of ten convolutions, its kernels scaled by the same factors, with and without BatchNorm: the
size of the signal at its end, and whether it learns the digits, enlarged.
"""

import keras
import numpy as np
import style
from images import network, train
from lesson import Lesson, Point, run

from kcnn.data import load
from kcnn.initializers import KaimingNormal

LAYERS = 7
FILTERS = (16, *[32] * 9)
KAIMING = "Kaiming"
FACTORS = {"too small": 0.45, KAIMING: 1.0, "too large": 2.2}  # 0.01 and 0.05 of 4,096 inputs
BINS = np.geomspace(1e-3, 1e4, 60)  # of the histograms
IMAGE = 24  # of 8 pixels two strides leave 2, where most of what a 3x3 kernel sees is padding
KEPT = 2.0  # the deviation may change by this factor


def through_layers(units: int, factor: float, seed: int) -> list[np.ndarray]:
    """What each of the 7 layers gives for 64 normal inputs."""
    x = np.random.default_rng(seed).normal(size=(64, units)).astype("float32")
    given = []
    for layer in range(LAYERS):
        weights = np.asarray(KaimingNormal("relu", seed=100 * seed + layer)((units, units)))
        x = np.maximum(x @ (factor * weights), 0.0)
        given.append(x)
    return given


def deep(data, norm: str, factor: float, seed: int) -> keras.Model:
    """Ten convolutions, every kernel but the last layer's scaled."""
    keras.utils.set_random_seed(seed)
    model = network(data, norm=norm, filters=FILTERS, flatten=True)
    for weight in model.trainable_variables[:-2]:
        if weight.path.endswith("kernel"):
            weight.assign(factor * weight)
    return model


def at_the_end(model: keras.Model, x: np.ndarray) -> float:
    """The deviation of what the last layer gets, training as `fit` does."""
    body = keras.Model(model.input, model.layers[-1].input)
    return float(np.asarray(body(x, training=True)).std())


def main(lesson: Lesson) -> None:
    digits = load("digits", image_size=IMAGE)
    x, y = digits.train.x.astype("float32"), digits.train.y
    units, epochs = lesson.of((4096, 12), (512, 1))
    signals = {
        name: [through_layers(units, factor, seed) for seed in lesson.seeds]
        for name, factor in FACTORS.items()
    }
    sizes = {
        name: np.array([[layer.std() for layer in run] for run in runs])
        for name, runs in signals.items()
    }
    norms = {"no normalization": "none", "BatchNorm": "batch"}
    ends: dict[tuple[str, str], list[float]] = {}
    learned: dict[tuple[str, str], list[float]] = {}
    for seed in lesson.seeds:
        for said, norm in norms.items():
            for name, factor in FACTORS.items():
                model = deep(digits, norm, factor, seed)
                ends.setdefault((said, name), []).append(at_the_end(model, x[:128]))
                history = train(model, x, y, rate=0.02, epochs=epochs, seed=seed)
                right = 100 * np.nan_to_num(history["accuracy"][-1])
                learned.setdefault((said, name), []).append(right)
    rows = [(str(i + 1), ".2g", [s[:, i] for s in sizes.values()]) for i in range(LAYERS)]
    lesson.compare(f"Deviation after each of {LAYERS} layers of {units:,}", "layer", FACTORS, rows)
    rows = [
        (f"{what}, {said}", form, [of[said, f] for f in FACTORS])
        for what, of, form in (("signal", ends, ".2g"), ("accuracy", learned, ".1f"))
        for said in norms
    ]
    looked = f"signal at their end, training accuracy in epoch {epochs}, %"
    lesson.compare(f"{len(FILTERS)} convolutions: {looked}", "", FACTORS, rows)
    times = {name: np.exp(np.abs(np.log(s[:, -1] / s[:, 0]))) for name, s in sizes.items()}
    lost = {
        said: np.array(learned[said, KAIMING])
        - np.minimum(learned[said, "too small"], learned[said, "too large"])
        for said in norms
    }
    spared = lost["no normalization"] - lost["BatchNorm"]
    less, more = f" times less than {KEPT:g} times as large", f" times beyond {KEPT:g} times"
    points = [
        Point(f"{LAYERS} layers start with Kaiming's", KEPT - times[KAIMING], less),
        Point("they start too small", times["too small"] - KEPT, more),
        Point("they start too large", times["too large"] - KEPT, more),
        Point("a network without a norm starts wrongly", lost["no normalization"], " points lost"),
        Point("BatchNorm forgives that", spared, " points fewer lost"),
    ]
    figure = lesson.figure(7.4, 4.4)
    for row, (name, color) in enumerate(zip(FACTORS, ("c2", "c3", "c5"), strict=True)):
        for layer, values in enumerate(signals[name][0]):
            ax = figure.add_subplot(len(FACTORS), LAYERS, row * LAYERS + layer + 1)
            style.histogram(ax, values[values > 0], BINS, style.COLORS[color])
            ax.set_xticks([1e-2, 1, 1e2], ["0.01", "1", "100"])
            if layer == 0:
                ax.set_ylabel(name, color=style.INK)
            if row == 0:
                ax.set_title(f"layer {layer + 1}", color=style.INK, fontsize=8.5)
    lesson.conclude(
        points,
        figure,
        "What each layer gives before any training, zeros left out, on one logarithmic scale: the "
        "signal vanishes, stays or explodes.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
