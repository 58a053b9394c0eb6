import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible
from kcnn.callbacks.doctor.interventions import Intervention


@check(
    "class_balance", "class_imbalance", stage="data", cost="rows", needs=("classes",),
    cure=Intervention(balance=True),
)  # fmt: skip
def class_balance(
    context,
    *,
    rows=parameter(40, "fewer rows say little about shares"),
    majority=parameter(0.6, "share of the way from even to all: beyond it guessing scores well"),
    times=parameter(8, "largest over smallest class"),
    alarming=parameter(0.85, "a majority that makes an accuracy look good by itself"),
):
    """A majority class that explains the score."""
    case = context.case
    if case.class_weight or case.train.weight is not None:
        return
    counts = np.bincount(context.task.classes_of(case.train.y))
    counts = counts[counts > 0]
    if len(counts) < 2 or counts.sum() < rows:
        return
    top, ratio, even = counts.max() / counts.sum(), counts.max() / counts.min(), 1 / len(counts)
    if top > even + majority * (1 - even) or ratio >= times:
        kind = likely if top > alarming else possible
        yield kind(
            f"the largest class holds {100 * top:.0f} % of the samples, {ratio:.0f} times the "
            "smallest", "every class predicted",
            "Pass class_weight={...} to fit, or sample the classes evenly.",
            "fit(class_weight=...)", evidence={"majority": float(top), "ratio": float(ratio)},
        )  # fmt: skip
