"""Deeper plain networks train worse, deeper residual networks do not: the shortcut keeps a block
close to the identity and brings the gradient to the first layers.

plain-20/32/56 and resnet-20/32/56 (He et al., arXiv:1512.03385, figure 6) learn the digits; what
counts is the training error, so this is not overfitting. Then into the deepest ones: the size of
F(x) against x, how far a block moves its input, and the gradient of each block's first kernel.
"""

import keras
import numpy as np
import style
import tensorflow as tf
from images import standardized, train
from lesson import Lesson, Point, run

import kcnn
from kcnn.data import load
from kcnn.layers import BasicBlock

DEPTHS = (20, 32, 56)
KINDS = ("plain", "resnet")
EPOCHS = 15


def blocks_of(model: keras.Model) -> list[BasicBlock]:
    """The blocks whose input and output have one shape: x can be compared with F(x)."""
    blocks = [layer for layer in model.layers if isinstance(layer, BasicBlock)]
    return [block for block in blocks if block.strides == 1]


def size(x) -> float:
    return float(tf.norm(x))


def inside(model: keras.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By depth: the size of F(x) against x, and of block(x) - x against x."""
    blocks = blocks_of(model)
    ends = [tensor for block in blocks for tensor in (block.input, block.output)]
    values = keras.Model(model.input, ends)(x, training=False)
    branch, moved = [], []
    for block, before, after in zip(blocks, values[::2], values[1::2], strict=True):
        last = block.conv_2
        f = last.norm(last.conv(block.conv_1(before)), training=False)
        branch.append(size(f) / size(before))
        moved.append(size(after - before) / size(before))
    return np.array(branch), np.array(moved)


def gradients(model: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By depth: the gradient of each block's first kernel, against the kernel's size."""
    kernels = [block.conv_1.conv.kernel for block in blocks_of(model)]
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        loss = tf.reduce_mean(loss)
    found = tape.gradient(loss, kernels)
    return np.array([size(g) / size(k) for g, k in zip(found, kernels, strict=True)])


def main(lesson: Lesson) -> None:
    digits = load("digits")
    x, y = digits.train.x.astype("float32"), digits.train.y
    depths, epochs = lesson.of((DEPTHS, EPOCHS), ((20,), 1))
    errors: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    looks: dict[str, list] = {kind: [] for kind in KINDS}
    for seed in lesson.seeds:
        for kind in KINDS:
            row = []
            for depth in depths:
                keras.utils.set_random_seed(seed)
                model = kcnn.create_model(
                    f"{kind}{depth}",
                    classes=10,
                    input_shape=digits.image_shape,
                    preprocess=standardized(digits),
                )
                first = gradients(model, x[:128], y[:128]) if depth == depths[-1] else None
                history = train(model, x, y, rate=0.05, epochs=epochs, batch_size=128, seed=seed)
                row.append(100 - 100 * history["accuracy"][-1])
            errors[kind].append(row)
            looks[kind].append((*inside(model, x[:128]), first))
    found = {kind: np.array(rows) for kind, rows in errors.items()}
    rows = [(str(d), ".1f", [runs[:, i] for runs in found.values()]) for i, d in enumerate(depths)]
    lesson.compare(f"Training error in epoch {epochs}, %", "layers", KINDS, rows)
    inner = {k: [np.array([look[i] for look in v]) for i in range(3)] for k, v in looks.items()}
    whats = ("|F(x)| / |x|", "|block(x) - x| / |x|", "gradient / kernel, before training")
    rows = [(what, ".2g", [inner[k][i].mean(1) for k in KINDS]) for i, what in enumerate(whats)]
    lesson.compare(f"Inside the {depths[-1]} layers, mean over the blocks", "", KINDS, rows)
    deeper = {kind: rows[:, -1] - rows[:, 0] for kind, rows in found.items()}
    distance = inner["plain"][1].mean(1) - inner["resnet"][1].mean(1)
    fade = {k: np.log10(v[2][:, 0] / v[2][:, -1]) for k, v in inner.items()}
    step = f"{depths[0]} layers become {depths[-1]}"
    saved = deeper["plain"] - deeper["resnet"]
    evener = np.abs(fade["plain"]) - np.abs(fade["resnet"])
    points = [
        Point(f"{step}, plain", deeper["plain"], " points more training error"),
        Point(f"{step}, residual", saved, " points fewer are added than to the plain one"),
        Point("a block is compared with the identity", distance, " |x| nearer with a shortcut"),
        Point("gradients are compared", evener, " decades evener from first block to last"),
    ]
    figure = lesson.figure(7.4, 5.2)
    first = style.axes(figure, (2, 2, 1), x="layers", y="training error, %")
    labels = ("|F(x)| / |x|", "|block(x) - x| / |x|", "gradient / kernel")
    others = [style.axes(figure, (2, 2, i), x="block", y=y) for i, y in enumerate(labels, 2)]
    for color, kind in zip(style.SERIES, KINDS, strict=False):
        style.line(first, depths, found[kind], color, kind)
        for ax, runs in zip(others, inner[kind], strict=True):
            style.line(ax, range(1, runs.shape[1] + 1), runs, color, kind, markersize=2.5)
    for ax in others:
        style.log_y(ax)
    first.set_xticks(depths)
    style.legend(first)
    lesson.conclude(
        points,
        figure,
        "Training error against depth, and what happens inside the deepest network, block by "
        "block (the gradient before training).",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
