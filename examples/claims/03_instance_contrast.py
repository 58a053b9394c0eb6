"""Instance normalization makes a network deaf to the contrast and the brightness of an image;
batch normalization does not.

InstanceNorm takes mean and variance over one channel of one image, so a x + b comes out as x did,
whatever a > 0 and b are; BatchNorm keeps the statistics it was trained on. Two networks, alike but
for the norm, learn the same pictures and are asked again with other contrast and brightness. The
padding matters: zeros at the border do not change with the image, so "valid" is used here.
"""

import keras
import numpy as np
import style
from images import accuracy, fashion, outputs, train
from lesson import Lesson, Point, run

import kcnn

CONTRASTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
KINDS = {
    "InstanceNorm": ("instance", "valid"),
    "BatchNorm": ("batch", "valid"),
    "InstanceNorm, zero padding": ("instance", "same"),
}
BRIGHTNESS = (-60.0, -30.0, 0.0, 30.0, 60.0)  # of 255


def build(data, norm: str, padding: str) -> keras.Model:
    """Three convolutions, each with the norm; raw pixels go in, scaled by a constant."""
    images = keras.Input(data.image_shape)
    x = keras.layers.Rescaling(1 / 64)(images)
    for filters, strides in ((16, 1), (32, 2), (32, 1)):
        x = kcnn.layers.ConvNormAct(filters, strides=strides, norm=norm, padding=padding)(x)
    x = keras.layers.Flatten()(x)  # the mean over space of what InstanceNorm gives says little
    return keras.Model(images, keras.layers.Dense(data.classes)(x), name=f"{norm}_{padding}")


def moved(model: keras.Model, x: np.ndarray, changed: np.ndarray) -> float:
    """How far the logits move, as a share of how far they lie apart."""
    before, after = outputs(model, x), outputs(model, changed)
    return float(np.abs(after - before).mean() / before.std())


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((4000, 1000), (600, 200)))
    x, y = data.test.x.astype("float32"), data.test.y
    # Not clipped at 0 and 255: the claim is about a x + b, not about what a file can hold.
    shifts = {f"contrast x {a:g}": a * x for a in CONTRASTS if a != 1}
    shifts |= {f"brightness {b:+g}": x + b for b in BRIGHTNESS if b}
    right = {name: [] for name in KINDS}
    change = {name: [] for name in KINDS}
    for seed in lesson.seeds:
        for name, (norm, padding) in KINDS.items():
            keras.utils.set_random_seed(seed)
            model = build(data, norm, padding)
            epochs = lesson.of(8, 1)
            train(
                model, data.train.x, data.train.y, rate=0.05, epochs=epochs, seed=seed, decay=True
            )
            images = [a * x for a in CONTRASTS] + [x + b for b in BRIGHTNESS]
            right[name].append([accuracy(model, changed, y) for changed in images])
            change[name].append([moved(model, x, changed) for changed in shifts.values()])
    right = {name: np.array(found) for name, found in right.items()}
    rows = [
        (what, ".2g", [np.array(found)[:, i] for found in change.values()])
        for i, what in enumerate(shifts)
    ]
    title = "How far the logits move, in their own standard deviations"
    lesson.compare(title, "what is changed", change, rows)
    names = [f"contrast x {a:g}" for a in CONTRASTS] + [f"brightness {b:+g}" for b in BRIGHTNESS]
    rows = [(name, ".1f", [f[:, i] for f in right.values()]) for i, name in enumerate(names)]
    lesson.compare("Accuracy, %", "what is changed", KINDS, rows)
    lost = {}
    for kind, found in right.items():
        parts = found[:, : len(CONTRASTS)], found[:, len(CONTRASTS) :]
        same = CONTRASTS.index(1.0), BRIGHTNESS.index(0.0)
        lost[kind] = [part[:, at] - part.min(1) for part, at in zip(parts, same, strict=True)]
    points = [
        Point(
            f"the {what} changes",
            lost["BatchNorm"][i] - lost["InstanceNorm"][i],
            " points that BatchNorm alone loses at worst",
            "BatchNorm loses no more than InstanceNorm",
        )
        for i, what in enumerate(("contrast", "brightness"))
    ]
    figure = lesson.figure(7.2, 3.1)
    parts = (
        ("contrast, times", CONTRASTS, slice(0, 6)),
        ("brightness, +", BRIGHTNESS, slice(6, 11)),
    )
    for place, (label, at, part) in enumerate(parts, 1):
        ax = style.axes(figure, (1, 2, place), x=label, y="accuracy, %" if place == 1 else "")
        for color, name in zip(style.SERIES, ("InstanceNorm", "BatchNorm"), strict=False):
            style.line(ax, at, right[name][:, part], color, name)
        ax.set_ylim(0, 100)
        style.legend(ax)
    lesson.conclude(
        points,
        figure,
        "Trained on pictures as they are, asked with other contrast or brightness: the line of "
        "InstanceNorm is flat.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
