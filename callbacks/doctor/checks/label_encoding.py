import numpy as np

from kcnn.callbacks.doctor._registry import check, proven

TO_SPARSE = "Use loss='sparse_categorical_crossentropy', or keras.utils.to_categorical(y)."


@check("label_encoding", "label_encoding", stage="data", per_output=True)
def label_encoding(output):
    """Labels that the loss cannot read as they are."""
    if not len(output.task.values) or output.task.kind == "other" or output.head.rank != 2:
        return
    for rule in (_alike, _fractions, _one_hot, _numbers, _two, _form):
        found = rule(output.head, output.loss, output.task, output.y)
        if found:
            seen, expected, advice = found
            yield proven(seen, expected, advice, "y", evidence=output.evidence)
            if rule in (_alike, _fractions, _one_hot):
                return


def _shown(task):
    return ", ".join(f"{v:g}" for v in task.values[:6])


def _alike(head, loss, task, y):
    if loss.kind in ("scce", "cce", "bce") and len(task.values) == 1 and y.ndim < 3:
        return (
            f"every label is {_shown(task)}", f"{max(2, head.units)} classes",
            "Look at y: all labels became the same value, as after integer division or scaling.",
        )  # fmt: skip
    one_hot = task.form == "onehot" and task.kind == "multiclass" and task.scaled == 1.0
    read = one_hot and loss.kind in ("cce", "kld", "mse", "bce")
    if read and len(np.unique(task.classes_of(y))) == 1:
        return (
            "all rows belong to one class", f"{task.classes} classes",
            "Look at how y was one-hot encoded: only one column is ever set.",
        )  # fmt: skip
    return None


def _fractions(head, loss, task, y):
    if loss.kind == "scce" and not task.whole:
        return (
            f"labels are fractions ({_shown(task)}, ...)", "whole class numbers",
            "Give class numbers 0..k-1 as integers; only the inputs are to be scaled.",
        )  # fmt: skip
    return None


def _one_hot(head, loss, task, y):
    if task.form != "onehot" or task.scaled == 1.0:
        return None
    if task.scaled == 0.0:
        empty = float((y.sum(1) == 0).mean())
        return (
            f"{100 * empty:.0f} % of the one-hot rows are empty", "exactly one 1 in each row",
            "Make y with keras.utils.to_categorical(ids).",
        )  # fmt: skip
    return (
        f"one-hot labels hold {task.scaled:g} instead of 1", "zeros and ones",
        "Do not scale y: leave one-hot labels at 0 and 1.",
    )  # fmt: skip


def _numbers(head, loss, task, y):
    """Class numbers that do not name outputs."""
    if task.form != "ids" or task.kind != "multiclass":
        if task.kind == "binary" and task.form == "ids" and loss.kind == "cce" and head.units == 2:
            return "class numbers under categorical_crossentropy", "one-hot rows of 2", TO_SPARSE
        return None
    if loss.kind == "scce" and task.low < 0:
        return (
            f"class numbers start at {task.low:g}", "0..k-1",
            "Shift the labels so that the first class is 0.",
        )  # fmt: skip
    if loss.kind == "scce" and task.high >= head.units > 1:
        shifted = task.low >= 1 and task.high - task.low + 1 <= head.units
        if shifted or task.classes <= head.units:
            return (
                f"class numbers run from {task.low:g} to {task.high:g} for {head.units} outputs",
                f"0..{head.units - 1}", "Renumber the classes from 0, for example y - y.min().",
            )  # fmt: skip
    if loss.kind == "bce" and head.units == 1 and not task.whole:
        shown = f"labels {_shown(task)} under a binary loss"
        return shown, "0 and 1", "Give the labels as 0 and 1."
    if loss.kind == "cce" and head.units > 1:
        one_hot = f"one-hot rows of {head.units}"
        return "class numbers under categorical_crossentropy", one_hot, TO_SPARSE
    return None


def _two(head, loss, task, y):
    """Two labels that are not those of the loss: 0 and 1, or -1 and +1."""
    coded = task.kind == "binary" or task.form in ("onehot", "bits")
    if loss.margin and coded and 0 in task.values:
        seen = f"label 0 under {loss.name}, a loss of label times score: its rows tell nothing"
        return seen, "-1 and +1", "Map the labels to -1 and +1: 2 * y - 1."
    if task.kind == "binary" and loss.kind in ("bce", "scce") and head.units <= 2:
        values = task.values
        soft = 0 <= values[0] < 0.5 < values[-1] <= 1  # labels smoothed by hand
        numbered = loss.kind == "scce" and head.units > task.high
        if set(values) != {0, 1} and not numbered and not (soft and loss.kind == "bce"):
            seen = f"the two labels are {_shown(task)}"
            return seen, "0 and 1", "Map the labels to 0 and 1 before training."
    if task.kind == "multilabel" and loss.kind == "bce" and task.low < 0:
        return f"labels are {_shown(task)}", "0 and 1", "Map the labels to 0 and 1: (y + 1) / 2."
    return None


def _form(head, loss, task, y):
    if task.form in ("onehot", "bits") and loss.kind == "scce" and y.ndim == 2 and y.shape[1] > 1:
        return (
            "one-hot rows under sparse_categorical_crossentropy", "one class number a row",
            "Use loss='categorical_crossentropy', or y.argmax(axis=1).",
        )  # fmt: skip
    return None
