import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, proven
from kcnn.callbacks.doctor.program.neighbours import agreement, contradicts, placeless_agreement


@check(
    "label_agreement", "label_misalignment", "augmentation_breaks_label", stage="end", cost="rows",
    needs=("trials", "targets"),
)  # fmt: skip
def label_agreement(
    context,
    *,
    rows=parameter(100, "training rows that have neighbours worth the name"),
    skill=parameter(0.25, "a network that knows more has found what the neighbours do not show"),
    chance=parameter(3, "standard deviations above chance"),
    surely=parameter(6, "the same, for validation rows beside it"),
):
    """Labels that neither neighbours nor a linear fit know anything about."""
    case, task = context.case, context.task
    if case.train.n < rows or context.skill > skill:
        return
    labels = task.classes_of(case.train.y)
    mine = agreement(case.train, task)
    if mine is None:
        return
    z, share, blind = mine
    beside = 0.0, 0.0, 0.0  # the same for the validation rows
    if case.val is not None and isinstance(case.val.y, np.ndarray) and labels is not None:
        beside = agreement(case.val, task) or beside
    sure = beside[0] > surely
    if z >= chance and not (sure and beside[1] - share > 0.25):
        return
    if z < chance <= placeless_agreement(context.graph, case.train, task):
        return
    if sure and (case.moving or case.untransformed) and not contradicts(case.train, labels):
        yield proven(
            f"neighbours share a label less often ({share:.2f}) in the randomly transformed "
            f"training data than in the validation data ({beside[1]:.2f})",
            "transforms that keep the class",
            "Remove the random transforms one by one from the training pipeline.", "x",
            cause="augmentation_breaks_label",
            evidence={"agreement": share, "validation": beside[1], "chance": blind},
        )  # fmt: skip
        return
    kind = proven if z < chance and sure and not context.trials.data.held_out else likely
    if kind is likely and not case.train.single:
        return  # what a label says of several inputs together may take more rows to show
    yield kind(
        f"near neighbours share a label no more often than chance ({share:.2f}, chance "
        f"{blind:.2f}), and no change of the training helps",
        "labels that go with their inputs",
        "Check that x and y are shuffled, sorted and filtered together.", "y",
        evidence={"z": z, "agreement": share, "chance": blind},
    )  # fmt: skip
