import numpy as np

from kcnn.callbacks.data import even_rows
from kcnn.callbacks.doctor._registry import check, likely, parameter, possible, proven

MOST = 2000  # rows of each side
ROWS = 30  # at the end of the training rows that tell whether they are a series


@check(
    "split_shift", "preprocessing_mismatch", stage="data", cost="rows",
    needs=("arrays", "validation"),
)  # fmt: skip
def split_shift(
    context,
    *,
    times=parameter(4, "spreads that differ so much were not scaled alike"),
    odd_times=parameter(1.7, "spreads of two samples of one source rarely differ so much"),
    far=parameter(4, "spreads that no trend moves a column: a straight one over as many rows, 3.5"),
    moved=parameter(0.8, "spreads by which the typical column moved"),
    odd_moved=parameter(0.35, "the same, for the mean over columns"),
    near=parameter(0.3, "spreads from row to row, and from one part to the other, in a series"),
):
    """Validation inputs that were prepared in another way than the training inputs."""
    case = context.case
    if not case.val.single:
        return
    a, b = even_rows(case.train.x, MOST), even_rows(case.val.x, MOST)
    if a.shape[1:] != b.shape[1:] or a.dtype.kind not in "fiu" or len(b) < 8:
        return
    a, b = (np.nan_to_num(v.reshape(len(v), -1).astype("float64")) for v in (a, b))
    spread = a.std(0)
    alive = spread > 1e-9 + 1e-3 * spread.max(initial=0)
    alive &= (a != np.median(a, axis=0)).mean(0) > 0.1  # words and rare flags tell nothing
    if not alive.any():
        return
    # one ratio of sizes for all columns, robust against single wild ones
    ratio = float(np.median((b.std(0)[alive] + 1e-12) / spread[alive]))
    distance = (b.mean(0) - a.mean(0))[alive] / spread[alive]
    noise = np.sqrt(1 / len(a) + 1 / len(b))
    shift, typical = float(np.sqrt(np.median(distance**2))), float(np.sqrt((distance**2).mean()))
    kind, strength = None, 0.0
    scaled = max(ratio, 1 / max(ratio, 1e-12)) > times
    if (scaled or shift > far) and len(b) >= 20:
        kind = likely if case.val_kind == "split" else proven  # the same array: prepared alike
    elif shift > max(moved, 6 * noise):
        kind = likely  # a later stretch of a series may well lie elsewhere
        strength = float(case.val_kind != "split")
    elif max(ratio, 1 / max(ratio, 1e-12)) > odd_times or typical > max(odd_moved, 4 * noise):
        kind = likely
    if kind is not None and case.moving and ratio < times and shift <= far:
        kind = possible  # random transforms shift the training inputs by themselves
    if kind is not None and _goes_on(case, spread, alive) < near:
        kind = possible  # a series that wanders: where it goes was not prepared otherwise
    if kind is not None:
        yield kind(
            f"validation inputs differ: spread {ratio:.3g} times that of training, mean moved by "
            f"{typical:.2f} spreads", "training and validation inputs prepared alike",
            "Apply the very same scaling (fitted on the training data) to the validation inputs.",
            "validation_data", strength=strength,
            evidence={"spread_ratio": ratio, "shift": typical},
        )  # fmt: skip


def _goes_on(case, spread, alive):
    """The longer of two steps in spreads: from row to row, and from training to validation rows."""
    tail, head = case.train.x[-ROWS:], case.val.x[:1]
    rows = np.concatenate([tail, head]).reshape(len(tail) + 1, -1)[:, alive].astype("float64")
    steps = (np.abs(np.diff(rows, axis=0)) / spread[alive]).mean(1)
    return float(max(steps[:-1].mean(), steps[-1]))
