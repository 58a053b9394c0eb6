import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kcnn.callbacks.data import Rows
from kcnn.callbacks.doctor._hypothesis import Certainty
from kcnn.callbacks.doctor._registry import check, parameter, proven
from kcnn.callbacks.doctor.program.neighbours import agreement
from kcnn.callbacks.doctor.program.skill import classes_of
from kcnn.callbacks.doctor.trials.data import aligned, split_rows

ALIKE = "training and validation inputs prepared alike"
SCALING = "Apply the very same scaling, colour order and layout to the validation inputs."


@check(
    "validation_rows", "preprocessing_mismatch", "label_encoding", "label_misalignment",
    "missing_shuffle", stage="end", cost="training", needs=("trials", "targets", "validation"),
)  # fmt: skip
def validation_rows(
    context,
    *,
    gap=parameter(0.3, "skill on training rows less that on validation rows"),
    odd_gap=parameter(0.15, "the same, where the two sides look prepared differently"),
    skill=parameter(0.35, "on held-out training rows: they can be answered"),
):
    """Held-out training rows are answered well and validation rows are not."""
    case, trials, final = context.case, context.trials, context.final
    likely = {one.cause: one for one in context.found if one.prior >= 0.6}
    order = likely.get("missing_shuffle") if case.val_kind == "split" else None
    if case.val_kind == "split" and order is None:
        return  # the same array, prepared alike, and in no order
    val = trials.data.val
    if trials.data.held_out or val is None or val.n < 20 or case.train.n < 80 or case.moving:
        return
    odd = "preprocessing_mismatch" in likely or order is not None
    least = odd_gap if odd else gap
    if not (final.train > 0.5 and final.train - final.val > least):
        return
    more: dict[str, Any] = {"where": "validation_data"}
    if "preprocessing_mismatch" in likely:
        alike = trials.on(dataclasses.replace(trials.data, val=aligned(val, case.train)))
        moved = alike.ended_outcome()
        if moved.val - final.val >= odd_gap:
            yield proven(
                f"skill {final.val:.2f} on validation rows, {moved.val:.2f} once their inputs have "
                "mean and spread of the training inputs", ALIKE, SCALING,
                evidence={"aligned": moved.val, "validation_rows": final.val}, **more,
            )  # fmt: skip
            return
    other = trials.on(split_rows(context, trials.steps, own_validation=False))
    out, trainer = other.run(), other.trainer()
    if out is None or not out.val >= max(skill, final.val + least):
        return
    if order is not None:
        yield dataclasses.replace(order, certainty=Certainty.PROVEN)
        return
    words = f"skill {out.val:.2f} on held-out training rows, {final.val:.2f} on validation rows"
    more["evidence"] = {"held_out_training_rows": out.val, "validation_rows": final.val}
    for name, turned in _turned(val):
        again = trials.on(dataclasses.replace(trials.data, val=turned)).ended_outcome()
        if again.val >= out.val - odd_gap:
            yield proven(f"{words}, {again.val:.2f} once they are {name}", ALIKE, SCALING, **more)
            return
    ids = context.task.classes_of(val.y)
    mine = agreement(val, context.task)
    said = classes_of(trainer.predict(val.x), context.head, context.loss)
    if ids is not None and renumbered(said, ids, context.task.classes):
        yield proven(
            words + ": the classes are numbered differently", "one numbering of the classes",
            "Encode the labels of both sets with the same mapping.", cause="label_encoding", **more,
        )  # fmt: skip
    elif mine is not None and mine[0] < 3:
        yield proven(
            words + ": neighbours there share no labels",
            "validation labels that go with their inputs",
            "Check that validation inputs and targets are shuffled and sorted together.",
            cause="label_misalignment", **more,
        )  # fmt: skip
    else:
        yield proven(words, ALIKE, SCALING, **more)


def _turned(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Validation rows of one array, undone what is easily done to one side alone."""
    x = rows.x
    if not rows.single or x.dtype.kind not in "fiu":
        return
    if x.ndim == 4 and x.shape[-1] == 3:
        yield "taken with their colours in reverse order", _with(rows, x[..., ::-1])
    if x.ndim >= 3 and x.shape[1] == x.shape[2]:
        yield "turned from columns to rows", _with(rows, x.swapaxes(1, 2))
    if x.ndim >= 3:
        yield "inverted", _with(rows, x.max() + x.min() - x)


def _with(rows: Rows, x: np.ndarray) -> Rows:
    return dataclasses.replace(rows, x=np.ascontiguousarray(x))


def renumbered(said: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Another numbering of the classes makes the predictions right."""
    if classes < 2:
        return False
    places = max(classes, int(labels.max(initial=0)) + 1)  # class numbers may have gaps
    table = np.zeros((places, places))
    np.add.at(table, (np.clip(said, 0, places - 1), labels), 1)
    right = float(np.trace(table) / max(table.sum(), 1))
    used = table.argmax(1)[table.sum(1) > 0]
    renamed = float(table.max(1).sum() / max(table.sum(), 1))
    return renamed > 0.6 and renamed - right > 0.4 and len(set(used)) >= 0.8 * len(used)
