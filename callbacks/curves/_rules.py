"""One rule for each thing that curves can say; each gives a finding or None."""

import math

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves._facts import SURE, Facts, ending
from kcnn.callbacks.curves._rules_overfit import overfit_confidence, overfitting, wide_gap
from kcnn.callbacks.curves._rules_unstable import broken, relapsed, rising, shaking, thrown_out
from kcnn.callbacks.curves._stats import noise_level, normal_cdf

__all__ = ["noticed"]

MORE_MODEL = (
    "Give the model more capacity, train longer or use a larger learning rate; take "
    "regularization away"
)

HARDLY = 0.01  # of the first loss: what is left of it at the end differs by as much for any reason


def still_improving(facts: Facts) -> Finding | None:
    """Stopped while the loss was falling."""
    if not facts.improving:
        return None
    (per_epoch, error), share = facts.val_trend or facts.trend, facts.late_share
    return Finding(
        "underfitting",
        "warning",
        f"still improving when stopped: the last {facts.last} epochs of {facts.epochs} brought "
        f"{share:.0%} of the decrease",
        "a loss that has leveled off",
        "Train longer or use a larger learning rate.",
        "too_few_epochs" if share < 0.4 else "lr_too_low",
        evidence={
            "confidence": normal_cdf(-per_epoch / error) if error > 0 else 1.0,
            "per_epoch": per_epoch,
            "share": share,
        },
    )


def high_bias(facts: Facts) -> Finding | None:
    """Training loss level and high, validation no worse: the model cannot do better."""
    behind = facts.gap is not None and facts.gap > 0.3 * abs(facts.end_loss)
    if behind or facts.fitted:
        return None
    seen = f"training loss {facts.end_loss:.3g} after {facts.last_epoch} epochs"
    if facts.accuracy is not None:
        seen += f", accuracy {ending(facts.accuracy):.3f}"
    return Finding(
        "underfitting",
        "warning",
        f"{seen}: the training data themselves are not fitted",
        "a training loss well under that of the first epoch",
        f"{MORE_MODEL}.",
        "insufficient_capacity",
        evidence={"confidence": SURE, "loss": facts.end_loss},
    )


def plateau(facts: Facts) -> Finding | None:
    """Nothing gained in the last third of the epochs."""
    if facts.catching_up:
        return None
    per_epoch, error = facts.trend
    if abs(per_epoch) * facts.last > max(2 * error * facts.last, 0.02 * max(facts.drop, 1e-12)):
        return None
    seen = f"the training loss is level at {facts.end_loss:.3g} for {facts.last} epochs"
    evidence = {"epochs": facts.last, "per_epoch": per_epoch}
    advice = "Lower the learning rate here, or stop."
    return Finding("plateau", "note", seen, "", advice, evidence=evidence)


def validation_lags(facts: Facts) -> Finding | None:
    """The training data are learned to the end, the validation loss still falls."""
    if not facts.catching_up:
        return None
    return Finding(
        "validation_lags",
        "note",
        f"the validation loss still falls, the training loss is level at {facts.end_loss:.3g}",
        "both losses leveling off together",
        "Train a little longer. With BatchNorm, whose moving averages lag behind for the first "
        "few hundred steps, set its momentum to 0.9.",
        evidence={"share": facts.late_share},
    )


def better_in_validation(facts: Facts) -> Finding | None:
    """Validation clearly better than training: explained, or a leak."""
    if facts.val_loss is None:
        return None
    apart = facts.loss - facts.val_loss
    below = apart[-facts.last :]
    spread = max(noise_level(apart), float(below.std(ddof=1)), 1e-12)
    least = max(0.05 * abs(facts.end_loss), HARDLY * facts.scale)
    if below.mean() < max(3 * spread / math.sqrt(facts.last), least):
        return None
    return Finding(
        "validation_better",
        "note",
        f"validation loss is {below.mean():.3g} below the training loss",
        "validation no better than training",
        "Usual with dropout, augmentation and penalties, which work in training only, and "
        "early on, since the training loss is a mean over the epoch. Without them look for "
        "validation images that stand in the training data too.",
        evidence={"difference": float(below.mean())},
    )


# Each rule, and the epochs that it needs.
RULES = {
    rising: 3, shaking: 5, relapsed: 5, thrown_out: 6, overfitting: 3, wide_gap: 3,
    still_improving: 4, high_bias: 4, plateau: 6, validation_lags: 4, better_in_validation: 3,
}  # fmt: skip
# What is not said of a run that overfits.
ELSE = {wide_gap, still_improving, high_bias, plateau, validation_lags}


def noticed(facts: Facts) -> list[Finding]:
    """All that the rules find."""
    if not facts.finite:
        return [broken(facts)]
    left = set(RULES) - (ELSE if overfit_confidence(facts) >= SURE else set())
    rules = [rule for rule, fewest in RULES.items() if rule in left and facts.epochs >= fewest]
    return [found for rule in rules if (found := rule(facts)) is not None]
