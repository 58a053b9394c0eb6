"""The six steps catch what is set up wrongly, at an early step and in a fraction of the time
that a training to the end takes.

A sound set-up for the digits (a small network without normalization, crops, SGD) and seven copies,
each with one fault planted, go through the steps: 1 the initial loss, 2 a small sample by heart,
3 learning rates for 100 updates each, and then the training, whose curves are read (step 6).
The first step with something to say has caught it. At step 3 the set-up's own rate has to be
"clear and stable". Beside it: what the training to its end takes, and what comes out of it.
"""

import style
from faults import FAULTS, SOUND, STEPS, through_the_steps
from lesson import Lesson, Point, mean_and_spread, run

from kcnn.data import load

EPOCHS = 30
OFTEN_TRAINED = 64_000  # updates of the ResNets for CIFAR in He et al. 2015, arXiv:1512.03385


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
