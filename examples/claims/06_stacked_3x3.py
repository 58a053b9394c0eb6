"""Two 3x3 layers see as far as one 5x5 and three as far as one 7x7, with fewer weights and fewer
multiplications, and are more accurate at equal cost.

That is how VGG differs from AlexNet (Simonyan & Zisserman, arXiv:1409.1556, section 2.3). The
receptive field is measured: which pixels move one output? Weights and multiply-adds are counted at
equal width. Then four networks learn the same pictures, the large kernels with as many filters as
make the multiply-adds equal to those of the stacks.
"""

import keras
import numpy as np
import style
import tensorflow as tf
from images import accuracy, fashion, standardized, train
from lesson import Lesson, Point, mean_and_spread, run

import kcnn
from kcnn.models import multiply_adds

STACKS = {"one 5x5": (5,), "two 3x3": (3, 3), "one 7x7": (7,), "three 3x3": (3, 3, 3)}
PAIRS = (("two 3x3", "one 5x5"), ("three 3x3", "one 7x7"))
FILTERS = 16


def receptive_field(kernels: tuple[int, ...]) -> int:
    """Side of the square of input pixels that the middle output depends on."""
    image = tf.Variable(tf.random.normal((1, 15, 15, 1), seed=1))
    ones = [keras.layers.Conv2D(1, k, padding="same", kernel_initializer="ones") for k in kernels]
    with tf.GradientTape() as tape:
        middle = keras.Sequential(ones)(image)[0, 7, 7, 0]
    seen = np.abs(tape.gradient(middle, image).numpy()[0, :, :, 0]) > 0
    return int(seen.any(0).sum())


def build(data, kernels: tuple[int, ...], filters: int) -> keras.Model:
    """A first 3x3 layer, then the stack on two scales."""
    images = keras.Input(data.image_shape)
    x = kcnn.layers.ConvNormAct(filters)(standardized(data)(images))
    for scale in range(2):
        if scale:
            x = keras.layers.MaxPooling2D()(x)
        for kernel in kernels:
            x = kcnn.layers.ConvNormAct(filters, kernel)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(data.classes)(x))


def same_cost(data, kernels: tuple[int, ...], target: int) -> int:
    """The number of filters whose multiply-adds come nearest to the target."""
    return min(range(8, 40), key=lambda f: abs(multiply_adds(build(data, kernels, f)) - target))


def main(lesson: Lesson) -> None:
    data = fashion(*lesson.of((10000, 2000), (200, 100)))
    x, y = data.train.x.astype("float32"), data.train.y
    wide = {name: build(data, kernels, FILTERS) for name, kernels in STACKS.items()}
    weights = {name: model.count_params() for name, model in wide.items()}
    products = {name: multiply_adds(model) for name, model in wide.items()}
    fields = {name: receptive_field(kernels) for name, kernels in STACKS.items()}
    filters = dict.fromkeys(STACKS, FILTERS)
    for stack, large in PAIRS:
        filters[large] = same_cost(data, STACKS[large], products[stack])
    right: dict[str, list[float]] = {name: [] for name in STACKS}
    for seed in lesson.seeds:
        for name, kernels in STACKS.items():
            keras.utils.set_random_seed(seed)
            model = build(data, kernels, filters[name])
            train(model, x, y, rate=0.05, epochs=lesson.of(8, 1), seed=seed, decay=True)
            right[name].append(accuracy(model, data.test.x, data.test.y))
    lesson.say(f"Weights and multiply-adds of the whole network with {FILTERS} filters.")
    lesson.table(
        "The same receptive field, twice",
        ("stack", "field", "weights", "multiply-adds", "filters at equal cost", "accuracy, %"),
        [
            (
                name,
                f"{fields[name]}x{fields[name]}",
                f"{weights[name]:,}",
                f"{products[name]:,}",
                str(filters[name]),
                mean_and_spread(right[name]),
            )
            for name in STACKS
        ],
    )
    points = []
    for stack, large in PAIRS:
        less = [100 - 100 * counts[stack] / counts[large] for counts in (weights, products)]
        gains = np.array(right[stack]) - np.array(right[large])
        seen = f"{fields[stack]} and {fields[large]} pixels"
        same = [0.5 - abs(fields[stack] - fields[large])]
        pair = f"{stack} stand for {large}"
        points += [
            Point(f"{pair} in what they see", same, words=seen),
            Point(f"{pair} in weights", less[:1], " % fewer"),
            Point(f"{pair} in multiply-adds", less[1:], " % fewer"),
            Point(f"{pair} in accuracy at equal cost", gains, " points"),
        ]
    figure = lesson.figure(7.2, 2.6)
    left = style.axes(figure, (1, 2, 1), x="weights at equal width, thousands", y="")
    right_side = style.axes(figure, (1, 2, 2), x="test accuracy at equal cost, %", y="")
    colors = [style.SERIES[i] for i in (1, 0, 1, 0)]
    style.bars(left, list(STACKS), [[weights[name] / 1000] for name in STACKS], colors)
    style.dots(right_side, list(STACKS), list(right.values()), colors)
    lesson.conclude(
        points,
        figure,
        "Stacks of 3x3 (blue) beside the one large kernel that sees as far (orange).",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
