import numpy as np

from kcnn.callbacks.doctor._registry import check, likely, parameter, proven

ADVICE = "Stop early (EarlyStopping(restore_best_weights=True)), or add dropout or data."


@check("overfitting", "overfitting", stage="run")
def overfitting(
    context,
    *,
    rise=parameter(1.3, "validation loss over its best: beyond its swings"),
    excess=parameter(0.08, "the same, as share of the first loss: small losses swing more"),
    gap=parameter(0.15, "skill on training rows less that on validation rows"),
    lost=parameter(0.25, "the same: wrong answers, not only confident ones"),
    right=parameter(0.82, "mean recall with which a classifier is of use all the same"),
):
    """A validation loss that turns up while the training loss falls."""
    val = np.asarray(context.history.get("val_loss", []), "float64")
    train = np.asarray(context.history.get("loss", []), "float64")
    final = context.final
    if len(val) < (6 if final is None else 4) or len(train) != len(val):
        return
    if not np.isfinite(val).all() or val.min() <= 0:  # a log likelihood has no ratios
        return
    best = int(val.argmin())
    times = val[-1] / val[best]
    turned = times > rise and (val[-1] - val[best]) > excess * max(val[0], train[0])
    early = best < (0.6 if final is None else 0.7) * len(val)
    if not (turned and early and train[-1] < 0.8 * train[best]):
        return
    kind, evidence = proven, {"rise": float(times), "best_epoch": best + 1}
    if final is not None:
        evidence["gap"] = final.train - final.val
        if evidence["gap"] < gap or final.train < 0.7:
            return
        classes = context.task is not None and context.task.exclusive
        if evidence["gap"] < lost or (classes and final.balanced > right):
            kind = likely
    yield kind(
        f"validation loss is {times:.2f} times its best (epoch {best + 1}) while the training "
        "loss falls", "validation loss that falls or stays", ADVICE, "fit(epochs=...)",
        evidence=evidence,
    )  # fmt: skip
