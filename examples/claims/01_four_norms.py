"""One formula, four norms: batch, layer, instance and group normalization differ only in the axes
that share a mean and a variance.

y = (x - mean) / sqrt(variance + epsilon), where mean and variance are taken over some axes of the
feature maps (batch, height, width, groups, channels of a group). The function below is all four;
it is compared with Keras's own layers and with kcnn's, on feature maps of real pictures.
"""

import keras
import numpy as np
import style
from images import fashion, standardized
from lesson import Lesson, Point, mean_and_spread, run

import kcnn

EPSILON = 1e-5
GROUPS = 4
CHANNELS = 16
TOLERANCE = 1e-5

# The axes of (batch, height, width, groups, channels of a group) that share their statistics.
AXES = {
    "batch": (0, 1, 2),
    "layer": (1, 2, 3, 4),
    "instance": (1, 2),
    "group": (1, 2, 4),
}


def normalize(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The one formula, in float64."""
    b, h, w, c = x.shape
    cells = x.reshape(b, h, w, GROUPS, c // GROUPS).astype(np.float64)
    mean = cells.mean(axes, keepdims=True)
    variance = cells.var(axes, keepdims=True)
    return ((cells - mean) / np.sqrt(variance + EPSILON)).reshape(x.shape)


def keras_layers() -> dict[str, keras.layers.Layer]:
    """The same four, as Keras spells them."""
    layers = keras.layers
    return {
        "batch": layers.BatchNormalization(epsilon=EPSILON),
        "layer": layers.LayerNormalization(axis=(1, 2, 3), epsilon=EPSILON),
        "instance": layers.GroupNormalization(groups=CHANNELS, epsilon=EPSILON),
        "group": layers.GroupNormalization(groups=GROUPS, epsilon=EPSILON),
    }


def feature_maps(images: int, seed: int) -> np.ndarray:
    """(images, h, w, CHANNELS): what a first convolution makes of pictures."""
    keras.utils.set_random_seed(seed)
    data = fashion(500)
    x = standardized(data)(data.train.x[seed * images :][:images])
    return np.asarray(kcnn.layers.ConvNormAct(CHANNELS, norm="none", activation=None)(x))


def shared(kind: str) -> np.ndarray:
    """(images, channels): cells with the same number share their mean and variance."""
    image, channel = np.meshgrid(range(6), range(CHANNELS), indexing="ij")
    group = channel // (CHANNELS // GROUPS)
    return {
        "batch": channel,
        "layer": image,
        "instance": image * CHANNELS + channel,
        "group": image * GROUPS + group,
    }[kind]


def main(lesson: Lesson) -> None:
    differences: dict[str, list[tuple[float, float]]] = {kind: [] for kind in AXES}
    for seed in lesson.seeds:
        x = feature_maps(16, seed)
        for kind, axes in AXES.items():
            wanted = normalize(x, axes)
            groups = {"groups": GROUPS} if kind == "group" else {}
            ours = kcnn.layers.norm(kind, channels=CHANNELS, epsilon=EPSILON, **groups)
            found = [layer(x, training=True) for layer in (keras_layers()[kind], ours)]
            worst = [float(np.abs(np.asarray(y) - wanted).max()) for y in found]
            differences[kind].append((worst[0], worst[1]))
    lesson.table(
        "Largest difference from the one formula in float64",
        ("norm", "shared over", "Keras's layer", "kcnn's layer"),
        [
            (
                kind,
                {"batch": "images, space", "layer": "space, channels", "instance": "space"}.get(
                    kind, "space, channels of a group"
                ),
                *(mean_and_spread([d[i] for d in found], ".1e") for i in (0, 1)),
            )
            for kind, found in differences.items()
        ],
    )
    points = [
        Point(
            f"the norm is {kind}",
            [TOLERANCE - max(found) for found in differences[kind]],
            f" below the {TOLERANCE:.0e} allowed",
            "a layer differs by more than that",
        )
        for kind in AXES
    ]
    figure = lesson.figure(7.2, 2.2)
    for i, kind in enumerate(AXES):
        ax = figure.add_subplot(1, 4, i + 1)
        cells = shared(kind)
        colors = np.random.default_rng(3).permutation(cells.max() + 1)[cells]
        style.show(ax, colors, f"{kind} norm", cmap="viridis", aspect="auto")
    figure.supxlabel("channel", color=style.INK, fontsize=9)
    figure.supylabel("image", color=style.INK, fontsize=9)
    lesson.conclude(
        points,
        figure,
        "Which images (rows) and channels (columns) share a mean and a variance: the same color.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
