"""The six steps catch what is set up wrongly, at an early step and in a fraction of the time
that a training to the end takes.

A sound set-up for the digits (a small network without normalization, crops, SGD) and seven copies,
each with one fault planted, go through the steps: 1 the initial loss, 2 a small sample by heart,
3 learning rates for 100 updates each, and then the training, whose curves are read (step 6).
The first step with something to say has caught it. At step 3 the set-up's own rate has to be
"clear and stable". Beside it: what the training to its end takes, and what comes out of it.
"""

import time
from dataclasses import dataclass

import style
from faults import FAULTS, SOUND, SetUp
from images import accuracy
from lesson import Lesson, Point, mean_and_spread, run

from kcnn.data import Dataset, load
from kcnn.recipe import check_initial_loss, overfit_small_sample, read_curves, sweep_learning_rates

EPOCHS = 30
OFTEN_TRAINED = 64_000  # updates of the ResNets for CIFAR in He et al. 2015, arXiv:1512.03385
RATES = (0.1, 0.01, 0.001)
STEPS = {1: "initial loss", 2: "small sample", 3: "learning rates", 6: "curves"}


@dataclass(frozen=True)
class Caught:
    """The step that said something (0: none), what it said, when, and the training's end."""

    step: int
    said: str
    seconds: float
    whole: float
    accuracy: float
    updates: int


def through_the_steps(setup: SetUp, data: Dataset, seed: int, epochs: int) -> Caught:
    """Each step in turn; the training runs to its end in any case, to compare."""
    model, batches = setup.model(data, seed), setup.batches(data, seed)
    began = time.perf_counter()
    step, said, seconds = early(model, setup, batches, data, seed)
    seconds = seconds or time.perf_counter() - began
    began = time.perf_counter()
    tests = data.test.x.astype("float32"), data.test.y
    history = model.fit(
        batches, epochs=epochs, validation_data=tests, shuffle=False, verbose=0
    ).history
    whole = time.perf_counter() - began
    if not step:
        reading = read_curves(history)
        if reading.verdict != "healthy":
            step, said, seconds = 6, reading.verdict, seconds + whole
    return Caught(step, said, seconds, whole, accuracy(model, *tests), epochs * len(batches))


def early(model, setup: SetUp, batches, data: Dataset, seed: int) -> tuple[int, str, float]:
    """Steps 1 to 3; the model is as before afterwards."""
    began = time.perf_counter()
    first = check_initial_loss(model, batches, classes=data.classes)
    if not first.ok:
        return 1, first.findings[0].seen, time.perf_counter() - began
    sample = overfit_small_sample(model, *setup.rows(data), seed=seed)
    if not sample.ok:
        return 2, sample.findings[0].seen, time.perf_counter() - began
    rates = sorted({setup.rate, *RATES}, reverse=True)
    found = sweep_learning_rates(model, batches, rates=rates, seed=seed)
    own = next(curve for curve in found.result.curves if curve.lr == setup.rate)
    if not found.ok:
        return 3, found.findings[0].seen, time.perf_counter() - began
    if own.verdict != "clear and stable":
        said = f"rate {own.lr:g}: {own.verdict}; better {found.result.suggestion:g}"
        return 3, said, time.perf_counter() - began
    return 0, "nothing", 0.0


def main(lesson: Lesson) -> None:
    digits = load("digits")
    epochs = lesson.of(EPOCHS, 3)
    setups = {"sound": SOUND, **FAULTS}
    if lesson.quick:
        setups = {name: setups[name] for name in ("sound", "pixels 0..255 as they are")}
    runs = {
        name: [through_the_steps(setup, digits, seed, epochs) for seed in lesson.seeds]
        for name, setup in setups.items()
    }
    rows = [
        (
            name,
            ", ".join(sorted({STEPS.get(r.step, "none") for r in found})),
            found[0].said,
            mean_and_spread([100 * r.seconds / r.whole for r in found], ".0f"),
            mean_and_spread([r.accuracy for r in found]),
        )
        for name, found in runs.items()
    ]
    columns = ("set-up", "caught by", "it says", "time, % of training", "accuracy at the end, %")
    lesson.table("What each step sees", columns, rows)
    faulty = [found for name, found in runs.items() if name != "sound"]
    updates = faulty[0][0].updates

    def saved(length):
        """Time left of a training of so many updates when the slowest fault is caught, in %."""
        return [
            min(100 - 100 * r.seconds / (r.whole * length / updates) for r in seed)
            for seed in zip(*faulty, strict=True)
        ]

    right = [
        sum(r.step in (1, 2, 3) for r in seed[1:]) + (seed[0].step not in (1, 2, 3))
        for seed in zip(*runs.values(), strict=True)
    ]
    judged = Point(
        "a step before the training is to catch it",
        [n - len(runs) + 0.5 for n in right],
        instead="not every set-up is judged rightly",
        words=f"{min(right)} of {len(runs)} set-ups judged rightly in every seed",
    )
    times = [
        Point(
            f"the training has {n:,} updates",
            saved(n),
            " % of its time saved by the latest catch",
            "the steps take as long",
        )
        for n in (updates, OFTEN_TRAINED)
    ]
    lesson.say(f"Times are ratios, taken in one process; a training here has {updates} updates.")
    figure = lesson.figure(7.2, 3.8)
    ax = style.axes(figure, x="time until caught, % of this training", y="")
    shares = [[100 * r.seconds / r.whole for r in found] for found in runs.values()]
    colors = [style.SERIES[max(r.step for r in found)] for found in runs.values()]
    style.bars(ax, list(runs), shares, colors)
    for at, found in enumerate(runs.values()):
        by = ", ".join(sorted({STEPS.get(r.step, "nothing to catch") for r in found}))
        ax.annotate(by, (max(shares[at]), at), xytext=(6, -3), textcoords="offset points")
        ax.texts[-1].set_color(style.INK)
    ax.margins(x=0.25)
    lesson.conclude(
        [judged, *times],
        figure,
        "Which step catches a planted fault, and in what share of the time of the whole training. "
        "The steps cost the same however long the training is.",
    )


if __name__ == "__main__":
    run(main, __doc__, __file__)
