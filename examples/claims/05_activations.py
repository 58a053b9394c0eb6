"""Sigmoid starves the first layers of a deep network and learns slowly, ReLU does neither but its
units can die, GELU is like ReLU and costs more.

Four looks at sigmoid, ReLU and GELU: the gradient that reaches the first layer of a plain stack
against its depth, each with the Kaiming weights of its own gain; the loss of a small network while
it learns; the units that give zero for every image after training at a rate too high; how far the
outputs lie from zero mean; and what a training step costs, as a ratio to ReLU's.
"""

import keras
import numpy as np
import style
import tensorflow as tf
from images import fashion, network, step_seconds, train
from lesson import Lesson, Point, run

from kcnn.initializers import KaimingNormal

KINDS = ("sigmoid", "relu", "gelu")
DEPTHS = (2, 4, 8, 16, 32)
WIDTH = 64
RATES = (0.02, 0.1, 0.5, 1.0)  # usual, high and too high


def first_gradient(kind: str, depth: int, x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Norm of the loss's gradient at the first of `depth` layers, over that at the last."""
    start = [KaimingNormal(kind, seed=1000 * seed + i) for i in range(depth)]
    layers = [keras.layers.Dense(WIDTH, kind, kernel_initializer=s) for s in start]
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers, keras.layers.Dense(10)])
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True)
        loss = tf.reduce_mean(loss)
    first, last = tape.gradient(loss, [layers[0].kernel, layers[-1].kernel])
    sizes = [np.linalg.norm(np.asarray(g, np.float64)) for g in (first, last)]  # squares underflow
    return float(sizes[0] / sizes[1])


def silent(model: keras.Model, x: np.ndarray) -> float:
    """Percent of the last convolution's channels that are zero everywhere for every image."""
    last = [layer for layer in model.layers if "conv" in layer.name][-1]
    values = np.asarray(keras.Model(model.input, last.output)(x, training=False))
    values = np.nan_to_num(values, nan=1.0)  # what has diverged is not silent
    return 100 * float(np.mean(~(np.abs(values) > 1e-6).any((0, 1, 2))))


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((2000, 500), (300, 100)))
    x, y = data.train.x.astype("float32"), data.train.y
    flat = ((x - x.mean()) / x.std()).reshape(len(x), -1)[:128]
    depths, epochs = lesson.of((DEPTHS, 8), ((2, 32), 1))
    gradient = {
        kind: np.array(
            [[first_gradient(kind, d, flat, y[:128], s) for d in depths] for s in lesson.seeds]
        )
        for kind in KINDS
    }
    losses: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    dead: dict[tuple[str, float], list[float]] = {}
    for seed in lesson.seeds:
        for kind in KINDS:
            for rate in RATES if kind == "relu" else RATES[:1]:
                keras.utils.set_random_seed(seed)
                model = network(data, norm="none", activation=kind)
                history = train(model, x, y, rate=rate, epochs=epochs, seed=seed)
                dead.setdefault((kind, rate), []).append(silent(model, data.test.x))
                if rate == RATES[0]:
                    losses[kind].append(history["loss"])
    drawn = np.random.default_rng(0).normal(size=100_000).astype("float32")
    out = {kind: np.asarray(keras.activations.get(kind)(drawn)) for kind in KINDS}
    off = {kind: abs(values.mean()) / values.std() for kind, values in out.items()}
    models = {kind: network(data, norm="none", activation=kind) for kind in KINDS}
    taken = step_seconds(models, x[:64], y[:64], rounds=lesson.of(15, 3))
    ratio = {kind: np.median(taken[kind] / taken["relu"]) for kind in KINDS}
    ends = {kind: np.array([history[-1] for history in losses[kind]]) for kind in KINDS}
    first = "gradient at the first of {} layers, against the last"
    rows = [
        *(
            (first.format(d), ".1e", [gradient[k][:, i] for k in KINDS])
            for i, d in enumerate(depths)
        ),
        *(
            (f"channels silent at rate {r:g}, %", ".1f", [dead.get((k, r), []) for k in KINDS])
            for r in RATES
        ),
        (f"training loss after {epochs} epochs", ".2f", ends.values()),
        ("|mean| / deviation, of normal inputs", ".2f", [[off[kind]] for kind in KINDS]),
        ("time of a step, ratio to ReLU's", ".2f", [[ratio[kind]] for kind in KINDS]),
    ]
    lesson.compare("Sigmoid, ReLU and GELU", "", KINDS, rows)
    decades = np.log10(gradient["relu"] / gradient["sigmoid"])[:, -1]
    died = np.array([dead["relu", rate] for rate in RATES])
    died = died[1:].max(0) - died[0]
    slower = ends["sigmoid"] - ends["relu"]
    points = [
        Point(f"there are {depths[-1]} layers", decades, " decades of gradient more with ReLU"),
        Point("sigmoid learns beside ReLU", slower, " of loss behind"),
        Point("ReLU's rate is too high", died, " % more channels silent"),
        Point("sigmoid's mean is looked at", [off["sigmoid"] - 1], " deviations beyond one from 0"),
        Point("GELU's step is timed", [ratio["gelu"] - 1], " of ReLU's time more"),
    ]
    figure = lesson.figure(7.2, 3.1)
    left = style.axes(figure, (1, 2, 1), x="layers", y="gradient, first / last layer")
    right = style.axes(figure, (1, 2, 2), x="epoch", y="training loss")
    for color, kind in zip(style.SERIES, KINDS, strict=False):
        style.line(left, depths, gradient[kind], color, kind)
        style.line(right, range(1, epochs + 1), losses[kind], color, kind)
    left.set_xscale("log", base=2)
    left.set_xticks(depths, [str(d) for d in depths])
    style.log_y(left)
    style.legend(left)
    lesson.conclude(
        points,
        figure,
        "What reaches the first layer of a plain stack before training (left), and how fast a "
        "small network learns (right).",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
