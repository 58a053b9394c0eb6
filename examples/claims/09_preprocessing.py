"""Pixels brought to mean 0 and deviation 1 in each channel train at more learning rates, and
better, than pixels as they are.

One small network learns the digits from pixels 0..255, from pixels divided by 255, and from
standardized ones, each at rates from 0.001 to 1; with no normalization of its own, and with
BatchNorm after every convolution, which does the same work inside.
"""

import keras
import numpy as np
import style
from images import accuracy, network, standardized, train
from lesson import Lesson, Point, mean_and_spread, run

from kcnn.data import load

RATES = (1e-3, 1e-2, 1e-1, 1.0)
NORMS = {"no normalization": "none", "BatchNorm": "batch"}


def main(lesson: Lesson) -> None:
    digits = load("digits")
    x, y = digits.train.x.astype("float32"), digits.train.y
    pixels = {
        "0..255": lambda: keras.layers.Identity(),
        "0..1": lambda: keras.layers.Rescaling(1 / 255),
        "standardized": lambda: standardized(digits),
    }
    rates, epochs = lesson.of((RATES, 4), ((1e-2,), 1))
    found: dict[tuple[str, str], np.ndarray] = {}
    for said, norm in NORMS.items():
        for name, layer in pixels.items():
            rows = []
            for seed in lesson.seeds:
                row = []
                for rate in rates:
                    keras.utils.set_random_seed(seed)
                    model = network(digits, norm=norm, flatten=True, preprocess=layer())
                    train(model, x, y, rate=rate, epochs=epochs, seed=seed)
                    row.append(accuracy(model, digits.test.x, digits.test.y))
                rows.append(row)
            found[said, name] = np.array(rows)
    lesson.table(
        f"Test accuracy after {epochs} epochs, %",
        ("network", "pixels", *(f"rate {rate:g}" for rate in rates)),
        [
            (said, name, *(mean_and_spread(rows[:, i]) for i in range(len(rates))))
            for (said, name), rows in found.items()
        ],
    )
    points = []
    for said in NORMS:
        best = {name: found[said, name].max(1) for name in pixels}
        mean = {name: found[said, name].mean(1) for name in pixels}
        where = f"the network has {said}"
        points += [
            Point(
                f"{where} and the rate is any of {len(rates)}",
                mean["standardized"] - np.maximum(mean["0..255"], mean["0..1"]),
                " points of mean accuracy",
            ),
            Point(
                f"{where} and the rate is the best for each",
                best["standardized"] - np.maximum(best["0..255"], best["0..1"]),
                " points",
            ),
        ]
    figure = lesson.figure()
    for place, said in enumerate(NORMS, 1):
        ax = style.axes(figure, (1, 2, place), x="learning rate", y="test accuracy, %", title=said)
        for color, name in zip(style.SERIES, pixels, strict=False):
            style.line(ax, rates, found[said, name], color, name)
        ax.set_xscale("log")
        ax.set_ylim(0, 100)
        style.legend(ax)
    lesson.conclude(
        points,
        figure,
        "The same network on the same digits, at four learning rates. The rates that work move "
        "with the scale of the pixels, unless the network normalizes by itself.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
