import numpy as np

from kcnn.callbacks.data import row_keys
from kcnn.callbacks.doctor._registry import check, parameter, proven

VALUES = 64  # more of them among so many images: two are not alike by chance


@check("split_leak", "data_leak", stage="data", cost="rows", needs=("arrays", "validation"))
def split_leak(
    context,
    *,
    shared=parameter(0.1, "share of validation rows that no accident repeats"),
    times=parameter(3, "coarse data repeat rows: so many times more than within training"),
    copied=parameter(0.3, "share from which equal rows of fine numbers are copies"),
    fewest=parameter(2, "equal rows: one is an accident"),
    rows=parameter(20, "validation rows that a share can be taken of"),
):
    """Validation samples that stand in the training data."""
    case = context.case
    train, val = case.train.x, case.val.x
    if not case.val.single or train.shape[1:] != val.shape[1:] or len(val) < rows:
        return
    keys = row_keys(train)
    known, met = np.unique(keys), np.isin(row_keys(val), keys)
    # Among a part of the training rows only as many can be met.
    seen = case.part.share
    inner, hits = (1 - len(known) / len(keys)) / seen, min(1.0, float(met.mean()) / seen)
    copies = hits > copied and _fine(train, len(known))
    shares = copies or hits > max(shared, times * inner)
    if shares and met.sum() >= fewest and len(known) > 50:
        yield proven(
            f"{100 * hits:.0f} % of the validation rows stand in the training data",
            "disjoint rows",
            "Split first, then copy, augment or oversample the training part alone.",
            "validation_data" if case.val_kind == "given" else "validation_split",
            evidence={"shared": hits, "repeated_within_training": inner},
        )  # fmt: skip


def _fine(x: np.ndarray, rows: int) -> bool:
    """Images of many values, or a column of which (nearly) every distinct row has its own."""
    if x.ndim != 2 or x.dtype.kind != "f":
        return x.ndim > 2 and len(np.unique(x[:VALUES])) > VALUES
    return any(len(np.unique(column)) > 0.9 * rows for column in x[:, :64].T)
