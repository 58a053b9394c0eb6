from kcnn.callbacks.curves import judge_overfitting
from kcnn.callbacks.doctor._registry import check, likely, parameter, proven

ADVICE = "Stop early (EarlyStopping(restore_best_weights=True)), or add dropout or data."


@check("overfitting", "overfitting", stage="run")
def overfitting(
    context,
    *,
    skill=parameter(0.7, "on training rows: they are learned"),
    gap=parameter(0.15, "skill on training rows less that on validation rows"),
    lost=parameter(0.25, "the same: wrong answers, not only confident ones"),
    right=parameter(0.82, "mean recall with which a classifier is of use all the same"),
):
    """A validation loss that turns up while the training loss falls."""
    found, final = judge_overfitting(context.history), context.final
    if found is None or not found.material:
        return
    kind, evidence = proven, {"rise": found.rise, "best_epoch": found.onset_epoch}
    if final is not None:
        evidence["gap"] = final.train - final.val
        if evidence["gap"] < gap or final.train < skill:
            return
        classes = context.task is not None and context.task.exclusive
        if evidence["gap"] < lost or (classes and final.balanced > right):
            kind = likely
    yield kind(
        f"validation loss is lowest ({found.low:.3g}) at epoch {found.onset_epoch}, then rises by "
        f"{found.rise:.3g} while the training loss falls", "validation loss that falls or stays",
        ADVICE, "fit(epochs=...)", evidence=evidence,
    )  # fmt: skip
