"""Basic set-up errors cost more accuracy than fine tuning gains: most failed trainings are wrong
in a basic thing, not in a hyperparameter that is a little off.

A random search over learning rate, weight decay, batch size, width and dropout trains a sound
set-up on the digits. The spread of its better half, from the best to the median, is what fine
tuning is about. Then each planted error by itself, at the values the search starts from: how
much accuracy does it cost against the sound set-up of the same seed?
"""

from dataclasses import replace

import numpy as np
import style
from faults import FAULTS, SOUND, SetUp
from images import accuracy
from lesson import Lesson, Point, mean_and_spread, run

from kcnn.data import Dataset, load

EPOCHS = 15
TRIALS = 12


def reached(setup: SetUp, data: Dataset, seed: int, epochs: int) -> float:
    """Test accuracy in percent after a training."""
    model = setup.model(data, seed)
    model.fit(setup.batches(data, seed), epochs=epochs, shuffle=False, verbose=0)
    return accuracy(model, data.test.x.astype("float32"), data.test.y)


def drawn(count: int, seed: int) -> list[SetUp]:
    """Random neighbours of the sound set-up: rate and decay evenly on a log scale."""
    rng = np.random.default_rng(seed)
    return [
        replace(
            SOUND,
            rate=SOUND.rate * 10 ** rng.uniform(-0.7, 0.3),
            weight_decay=10 ** rng.uniform(-5, -3),
            batch_size=int(rng.choice([32, 64, 128])),
            width=float(rng.choice([0.5, 1.0, 2.0])),
            dropout=float(rng.choice([0.0, 0.2, 0.5])),
        )
        for _ in range(count)
    ]


def main(lesson: Lesson) -> None:
    digits = load("digits")
    epochs, trials = lesson.of((EPOCHS, TRIALS), (3, 4))
    faults = lesson.of(FAULTS, dict(list(FAULTS.items())[2:3]))
    searched = [
        np.sort([reached(s, digits, seed, epochs) for s in drawn(trials, seed)])[::-1]
        for seed in lesson.seeds
    ]
    spread = [found[0] - found[trials // 2 - 1] for found in searched]
    sound = [reached(SOUND, digits, seed, epochs) for seed in lesson.seeds]
    lost = {
        name: [
            sound[i] - reached(fault, digits, seed, epochs) for i, seed in enumerate(lesson.seeds)
        ]
        for name, fault in faults.items()
    }
    lesson.say(
        f"{trials} trials of {epochs} epochs for each seed; {len(digits.train)} training and "
        f"{len(digits.test)} test images."
    )
    lesson.table(
        "Accuracy on the test images, points",
        ("what", "points"),
        [
            ("sound set-up", mean_and_spread(sound)),
            ("best of the search", mean_and_spread(found[0] for found in searched)),
            ("best 50 % of the search: spread", mean_and_spread(spread)),
            ("best to worst of the search", mean_and_spread(f[0] - f[-1] for f in searched)),
            *((f"lost by: {name}", mean_and_spread(values)) for name, values in lost.items()),
        ],
    )
    points = [
        Point(
            f"the error is “{name}”",
            [a - b for a, b in zip(values, spread, strict=True)],
            " points",
            "it costs no more than the better half of a search differs",
        )
        for name, values in lost.items()
    ]
    figure = lesson.figure(7.2, 3.8)
    ax = style.axes(figure, x="test accuracy, points", y="")
    names = ["spread of the best 50 % of a search", *(f"lost by: {name}" for name in lost)]
    colors = [style.SERIES[0], *[style.SERIES[1]] * len(lost)]
    style.bars(ax, names, [spread, *lost.values()], colors)
    lesson.conclude(
        points,
        figure,
        "What is at stake in fine tuning (blue) and in the set-up (orange): each dot is a seed.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
