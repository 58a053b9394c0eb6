import numpy as np

from kcnn.callbacks.curves import judge_overfitting, wander
from kcnn.callbacks.doctor._registry import check, likely, parameter, proven

BY_HEART = "Use more data, augmentation, dropout or weight decay, or a smaller network."
ADVICE = "Stop early (EarlyStopping(restore_best_weights=True)), or add dropout or data."


@check("overfitting", "overfitting", stage="run")
def overfitting(
    context,
    *,
    rise=parameter(1.3, "validation loss over its best: beyond its swings"),
    excess=parameter(0.08, "the same, as share of the first loss: small losses swing more"),
    early=parameter(0.7, "share of the epochs after which a rise is too short to be judged"),
    gap=parameter(0.15, "skill on training rows less that on validation rows"),
    lost=parameter(0.25, "the same: wrong answers, not only confident ones"),
    right=parameter(0.82, "mean recall with which a classifier is of use all the same"),
    heart=parameter(0.5, "the gap of what is learned by heart: there a small rise is enough"),
    small=parameter(1.05, "that rise, over the best"),
    walk=parameter(2.45, "rise in steps of a walk since its lowest place: 1 in 20 gets so far"),
):
    """A validation loss that turns up while the training loss falls."""
    final, epochs = context.final, len(context.history.get("val_loss", []))
    turned = judge_overfitting(context.history)
    if turned is None or epochs < (6 if final is None else 4) or turned.low <= 0:
        return  # a log likelihood has no ratios
    times, onset = 1 + turned.rise / turned.low, turned.onset_epoch
    if final is not None and final.train > 0.95 and final.train - final.val >= heart:
        rise = small
    if times < rise or turned.rise < excess * turned.first or onset > early * epochs:
        return
    kind, evidence = proven, {"rise": times, "best_epoch": onset}
    after = context.history["val_loss"][onset - 1 :]
    if turned.rise < walk * wander(after) * np.sqrt(len(after) - 1):
        kind = likely
    if final is not None:
        evidence["gap"] = final.train - final.val
        if evidence["gap"] < gap or final.train < 0.7:
            return
        classes = context.task is not None and context.task.exclusive
        if evidence["gap"] < lost or (classes and final.balanced > right):
            kind = likely
    yield kind(
        f"validation loss is {times:.2f} times its best (epoch {onset}) while the training "
        "loss falls", "validation loss that falls or stays", ADVICE, "fit(epochs=...)",
        evidence=evidence,
    )  # fmt: skip


@check("by_heart", "overfitting", stage="run")
def by_heart(
    context,
    *,
    epochs=parameter(10, "fewer are no long training"),
    known=parameter(0.95, "skill on training rows: (nearly) all of them by heart"),
    some=parameter(0.15, "skill on validation rows: without any, labels or inputs are wrong"),
    gap=parameter(0.4, "skill on training rows less that on validation rows"),
    spent=parameter(0.05, "of the first loss: nothing is left to learn"),
    long=parameter(0.5, "of the epochs, in which the training rows were known by heart already"),
    falls=parameter(0.1, "of the validation loss: one that falls so much in the second half lags"),
):
    """Training rows by heart for most of the run, and validation rows far behind."""
    final, losses = context.final, np.asarray(context.history.get("loss", ()), "float64")
    val = np.asarray(context.history.get("val_loss", ()), "float64")
    if final is None or len(losses) < epochs or len(val) != len(losses) or losses[0] <= 0:
        return
    idle = losses <= spent * losses[0]
    if idle.mean() < long or final.train < known or final.val < some:
        return
    begin = int(np.argmax(idle))
    if final.train - final.val < gap or val[-1] < (1 - falls) * val[len(val) // 2]:
        return
    yield proven(
        f"the training rows are known by heart since epoch {begin + 1} (skill {final.train:.2f}), "
        f"validation rows far worse ({final.val:.2f})",
        "validation rows answered nearly as well as training rows", BY_HEART, "fit(epochs=...)",
        evidence={"gap": final.train - final.val, "by_heart_since": begin + 1},
    )  # fmt: skip
