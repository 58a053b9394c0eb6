"""GroupNorm is better than BatchNorm when batches are small.

BatchNorm takes its mean and variance from the images of the batch: from two or four they are
noise, and not what it uses at inference. GroupNorm takes them from each image by itself, so the
batch does not matter. Both are trained with batches of 2 to 32 images for the same number of
epochs; the rate grows linearly with the batch (Goyal et al., arXiv:1706.02677), as in the paper on
GroupNorm (Wu & He, arXiv:1803.08494).
"""

import keras
import numpy as np
import style
from images import accuracy, fashion, network, train
from lesson import Lesson, Point, run

BATCHES = (2, 4, 8, 16, 32)
SMALL = (2, 4)  # of which the claim speaks
RATE_AT_32 = 0.05
EPOCHS = 4


def reached(data, norm: str, batch_size: int, seed: int, epochs: int) -> float:
    """Test accuracy in percent."""
    keras.utils.set_random_seed(seed)
    model = network(data, norm=norm)
    rate = RATE_AT_32 * batch_size / 32
    x, y = data.train.x, data.train.y
    train(model, x, y, rate=rate, epochs=epochs, batch_size=batch_size, seed=seed, decay=True)
    return accuracy(model, data.test.x, data.test.y)


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((4500, 2000), (200, 200)))
    batches, epochs = lesson.of((BATCHES, EPOCHS), ((2, 32), 1))
    norms = {"GroupNorm": "group", "BatchNorm": "batch"}
    found = {
        name: np.array(
            [[reached(data, norm, b, seed, epochs) for b in batches] for seed in lesson.seeds]
        )
        for name, norm in norms.items()
    }
    lesson.say(f"{data.name}: {len(data.train)} training images, {epochs} epochs.")
    rows = [(str(b), ".1f", [runs[:, i] for runs in found.values()]) for i, b in enumerate(batches)]
    lesson.compare("Test accuracy, %", "images in a batch", norms, rows)
    gains = found["GroupNorm"] - found["BatchNorm"]
    lost = {name: runs[:, -1] - runs[:, 0] for name, runs in found.items()}
    spared = lost["BatchNorm"] - lost["GroupNorm"]
    points = [
        Point(f"the batch has {b} images", gains[:, i], " points", "BatchNorm is as good")
        for i, b in enumerate(batches)
        if b in SMALL
    ]
    step = f"the batch shrinks from {batches[-1]} to {batches[0]}"
    points.append(Point(step, spared, " points that BatchNorm alone loses"))
    figure = lesson.figure()
    ax = style.axes(figure, x="images in a batch", y="test accuracy, %")
    for color, (name, runs) in zip(style.SERIES, found.items(), strict=False):
        style.line(ax, batches, runs, color, name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(batches, [str(b) for b in batches])
    style.legend(ax)
    lesson.conclude(
        points,
        figure,
        "Accuracy after the same number of epochs, with batches of 2 to 32 images. The band goes "
        "from the worst seed to the best.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
