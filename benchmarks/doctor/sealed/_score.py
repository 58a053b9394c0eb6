"""Scores of programs whose outputs are several, dictionaries or pictures."""

import numpy as np


class _Head:
    """One output of a model, callable like a model of one output."""

    def __init__(self, model, key):
        self.model, self.key = model, key

    def __call__(self, x, training=False):
        return self.model(x, training=training)[self.key]


def head(key, score):
    """`score` of one output; `case.test` holds the targets under the same key."""

    def of_head(model, case, history):
        x, y = case.test
        return score(_Head(model, key), case._replace(test=(x, y[key])), history)

    return of_head


def worst(**scores):
    """The lowest of the scores of several outputs."""

    def lowest(model, case, history):
        return min(head(key, score)(model, case, history) for key, score in scores.items())

    return lowest


def overlap(model, case, history):
    """Intersection over union of the foreground, one output and masks of 0 and 1."""
    x, y = case.test
    said = np.asarray(model(x, training=False), "float32")
    said = said[..., 1:2] > said[..., :1] if said.shape[-1] == 2 else said > 0.5
    true = np.asarray(y) > 0.5
    return float((said & true).sum() / max(1, (said | true).sum()))


def in_parts(score, size=100):
    """`score` with the test data given to the model in parts, for large pictures."""

    def parted(model, case, history):
        def call(x, training=False):
            parts = [np.asarray(model(x[i : i + size], training=False), "float32")
                     for i in range(0, len(x), size)]  # fmt: skip
            return np.concatenate(parts)

        return score(call, case, history)

    return parted
