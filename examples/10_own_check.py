"""A check of one's own for the doctor: the same picture twice, with different labels.

A check is a function with `@check`: it says which cause it looks for, when and at what cost, what
it needs, and its numbers with their reasons. It gets the `Context` of the program and yields
hypotheses. Here some digits are copied into the training data with labels that somebody else
chose. Takes about ten seconds.
"""

import argparse

import keras
import numpy as np

from kcnn.callbacks import examine
from kcnn.callbacks.doctor import check, parameter, proven
from kcnn.data import load


@check(
    "contradicting_rows", "label_misalignment", stage="data", cost="rows",
    needs=("arrays", "classes"),
)  # fmt: skip
def contradicting_rows(
    context, *, share=parameter(0.02, "our annotators disagree on one picture in a hundred")
):
    """Equal inputs with different labels."""
    rows = context.case.train
    labels = {}
    for row, label in zip(rows.x, context.task.classes_of(rows.y), strict=True):
        labels.setdefault(row.tobytes(), set()).add(int(label))
    doubtful = sum(len(found) > 1 for found in labels.values()) / len(labels)
    if doubtful > share:
        yield proven(
            f"{100 * doubtful:.0f} % of the pictures have two labels", "one label a picture",
            "Look at them, and keep one label of each.", "y", evidence={"share": doubtful},
        )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=200, help="digits labelled a second time")
    copies = parser.parse_args().copies
    digits = load("digits").train
    x, y = digits.x.reshape(len(digits.x), -1).astype("float32") / 255, digits.y
    rng = np.random.default_rng(0)
    again = rng.permutation(len(x))[:copies]
    x, y = np.concatenate([x, x[again]]), np.concatenate([y, rng.integers(0, 10, copies)])

    layers = [
        keras.Input(x.shape[1:]),
        keras.layers.Dense(64, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for wanted in ({}, {"parameters": {"contradicting_rows": {"share": 0.5}}}):
        found = examine(model, x, y, epochs=10, **wanted)
        print(wanted or "as it is", "->", found)


if __name__ == "__main__":
    main()
