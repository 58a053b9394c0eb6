import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven
from kcnn.callbacks.doctor.interventions import Intervention

SHUFFLE = "Set shuffle=True, or shuffle the rows (dataset.shuffle(len(x)))."
BEFORE = "Shuffle x and y together before fit: validation_split takes the last rows."


@check(
    "row_order", "missing_shuffle", stage="data", cost="rows", needs=("targets",),
    cure=Intervention(shuffle=True),
)  # fmt: skip
def row_order(
    context,
    *,
    rows=parameter(24, "fewer rows are in some order by chance"),
    mixed=parameter(0.4, "class changes over those of a random order: fewer are blocks"),
    blocks=parameter(0.2, "fewer yet, and whole batches are of one class"),
    other=parameter(0.35, "distance of class shares that no random split of 100 rows reaches"),
    sorted_=parameter(0.9, "rank correlation of targets with their places"),
):
    """Rows ordered by class or by target, where the order matters."""
    case, n = context.case, context.case.train.n
    if n < rows:
        return
    labels = context.task.classes_of(case.train.y)
    if labels is None:
        yield from _sorted(context, sorted_)
        return
    shares = np.bincount(labels) / n
    expected = (n - 1) * (1 - float((shares**2).sum()))
    changes = float((labels[1:] != labels[:-1]).sum())
    ordered = changes / max(expected, 1e-9)
    if case.val_kind == "split" and case.val.n >= 5:
        tail = context.task.classes_of(case.val.y)
        places = max(len(shares), int(tail.max()) + 1)
        distance = np.bincount(tail, minlength=places) / len(tail)
        distance[: len(shares)] -= shares
        away = 0.5 * float(np.abs(distance).sum())
        noise = float(np.sqrt(context.task.classes / len(tail)))
        if away > max(other, noise) and ordered < 0.7:
            yield proven(
                "rows are ordered by class, so validation_split takes other classes than training "
                f"sees (distance {away:.2f})", "rows in random order", BEFORE, "fit(shuffle=...)",
                evidence={"class_distance": away, "order": ordered},
            )  # fmt: skip
            return
    if not case.shuffled and expected >= 8 and ordered < mixed:
        kind = proven if ordered < blocks and n > case.batch_size else likely
        yield kind(
            f"classes come in blocks ({changes:.0f} changes, {expected:.0f} in random order) and "
            "are not shuffled", "rows in random order", SHUFFLE, "fit(shuffle=...)",
            evidence={"changes": changes, "expected_changes": expected},
        )  # fmt: skip


def _sorted(context, bound):
    case = context.case
    split = case.val_kind == "split"
    if context.task.kind != "regression" or (case.shuffled and not split):
        return
    column = case.train.y.reshape(case.train.n, -1)[:, 0].astype("float64")
    rank = np.argsort(np.argsort(column))
    correlation = abs(float(np.corrcoef(rank, np.arange(len(rank)))[0, 1]))
    steps = np.abs(np.diff(column)).mean() / float(np.ptp(column) or np.inf)
    if correlation > bound and 0 < steps * len(rank) < 8:
        yield likely(
            f"targets are sorted (rank correlation {correlation:.2f})", "rows in random order",
            BEFORE if split else SHUFFLE, "fit(shuffle=...)", strength=float(split),
            evidence={"rank_correlation": correlation},
        )  # fmt: skip


@check(
    "unshuffled", "missing_shuffle", stage="end", needs=("trials",),
    cure=Intervention(shuffle=True),
)  # fmt: skip
def unshuffled(context):
    """Rows that are not shuffled may come in a bad order: worth a trial in random order."""
    if not context.case.shuffled:
        arrays = context.case.source == "arrays"
        advice = "Set shuffle=True." if arrays else "Add dataset.shuffle(len(x))."
        yield possible("rows are not shuffled", "rows in random order", advice, "fit(shuffle=...)")
