from kcnn.callbacks.doctor._registry import check, possible
from kcnn.callbacks.doctor.interventions import Intervention


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
