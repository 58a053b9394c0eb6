"""One rule for each thing that curves can say; each gives a finding or None."""

from __future__ import annotations

import math

import numpy as np

from kcnn.callbacks._curve_facts import Facts, ending
from kcnn.callbacks._curve_stats import noise_level, normal_cdf
from kcnn.callbacks._curve_unstable import broken, relapsed, shaking, thrown_out
from kcnn.callbacks._finding import Finding

__all__ = ["RULES", "onset_epoch"]

MORE_DATA = (
    "Use more data, stronger augmentation or more regularization (dropout, weight decay), or "
    "a smaller model"
)
MORE_MODEL = (
    "Give the model more capacity, train longer or use a larger learning rate; take "
    "regularization away"
)
SURE = 0.95


def overfitting(facts: Facts) -> Finding | None:
    """Validation loss past its lowest point while the training loss still falls."""
    confidence = _overfit_confidence(facts)
    if confidence < SURE:
        return None
    low = facts.valley
    assert low is not None
    assert facts.val_loss is not None
    onset = low.index + 1
    best = float(facts.val_loss[low.index])
    seen = (
        f"validation loss lowest ({low.low:.3g}) after epoch {onset}, then up to "
        f"{low.low + low.rise:.3g} while the training loss fell to {facts.end_loss:.3g}"
    )
    return Finding(
        "overfitting",
        "warning",
        seen,
        "validation loss falling or level as long as the training loss falls",
        f"{MORE_DATA}; or stop at epoch {onset}.",
        "overfitting",
        evidence={
            "onset_epoch": onset,
            "confidence": confidence,
            "best_val_loss": best,
            "rise": low.rise,
            "gap": facts.gap,
        },
    )


def wide_gap(facts: Facts) -> Finding | None:
    """Training far better than validation, though the validation loss does not rise."""
    if facts.gap is None or not facts.finite or _overfit_confidence(facts) >= SURE:
        return None
    train, val = facts.accuracy, facts.val_accuracy
    if train is None or val is None or not np.isfinite([train[-1], val[-1]]).all():
        return None
    difference = ending(train) - ending(val)
    if difference < 0.1:
        return None
    return Finding(
        "generalization_gap",
        "note" if difference < 0.2 else "warning",
        f"accuracy {ending(train):.3f} in training and {ending(val):.3f} in validation",
        "less than 0.1 apart",
        f"{MORE_DATA}.",
        "overfitting",
        evidence={"difference": difference, "gap": facts.gap},
    )


def still_improving(facts: Facts) -> Finding | None:
    """Stopped while the loss was falling."""
    if not facts.finite or facts.epochs < 4 or _overfit_confidence(facts) >= SURE:
        return None
    per_epoch, error = facts.val_trend or facts.trend
    start = facts.loss if facts.val_loss is None else facts.val_loss
    reached = max(float(start[0] - start.min()), 1e-12)
    last = max(3, facts.epochs // 3)
    confidence = normal_cdf(-per_epoch / error) if error > 0 else 1.0
    share = -per_epoch * last / reached
    if confidence < SURE or share < 0.15 or facts.trend[0] >= 0:
        return None
    return Finding(
        "underfitting",
        "warning",
        f"still improving when stopped: the last {last} epochs of {facts.epochs} brought "
        f"{share:.0%} of the decrease",
        "a loss that has leveled off",
        "Train longer or use a larger learning rate.",
        "too_few_epochs" if share < 0.4 else "lr_too_low",
        evidence={"confidence": confidence, "per_epoch": per_epoch, "share": share},
    )


def high_bias(facts: Facts) -> Finding | None:
    """Training loss level and high, validation no worse: the model cannot do better."""
    if not facts.finite or facts.epochs < 4 or _overfit_confidence(facts) >= SURE:
        return None
    if facts.gap is not None and facts.gap > 0.3 * abs(facts.end_loss):
        return None
    poor = facts.end_loss > 0.6 * abs(float(facts.loss[0]))
    if facts.accuracy is not None and np.isfinite(facts.accuracy).all():
        poor = ending(facts.accuracy) < 0.75
    if not poor:
        return None
    seen = f"training loss {facts.end_loss:.3g} after {facts.epochs} epochs"
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
    if not facts.finite or facts.epochs < 6 or _overfit_confidence(facts) >= SURE:
        return None
    per_epoch, error = facts.trend
    last = max(3, facts.epochs // 3)
    if abs(per_epoch) * last > max(2 * error * last, 0.02 * max(facts.drop, 1e-12)):
        return None
    return Finding(
        "plateau",
        "note",
        f"the training loss is level at {facts.end_loss:.3g} for {last} epochs",
        "",
        "Lower the learning rate here, or stop.",
        evidence={"epochs": last, "per_epoch": per_epoch},
    )


def better_in_validation(facts: Facts) -> Finding | None:
    """Validation clearly better than training: explained, or a leak."""
    if facts.val_loss is None or not facts.finite or facts.epochs < 3:
        return None
    last = max(3, facts.epochs // 3)
    below = (facts.loss - facts.val_loss)[-last:]
    spread = max(noise_level(below), 1e-12)
    if below.mean() < max(3 * spread / math.sqrt(last), 0.05 * abs(facts.end_loss)):
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


RULES = (
    broken,
    shaking,
    relapsed,
    thrown_out,
    overfitting,
    wide_gap,
    still_improving,
    high_bias,
    plateau,
    better_in_validation,
)


def onset_epoch(facts: Facts) -> int | None:
    """Epoch (from 1) of the lowest validation loss, if it rose for good after it."""
    if facts.valley is None or _overfit_confidence(facts) < SURE:
        return None
    return facts.valley.index + 1


def _overfit_confidence(facts: Facts) -> float:
    """That the validation loss turned while the training loss went on falling, 0..1."""
    low = facts.valley
    if low is None or low.index >= facts.epochs - 2 or facts.val_loss is None:
        return 0.0
    fallen = float(np.mean(facts.loss[max(0, low.index - 1) : low.index + 1])) - facts.end_loss
    if fallen <= 0:
        return 0.0
    if low.rise < 0.02 * abs(low.low):
        return 0.0
    return normal_cdf(low.z - 1.0)  # the lowest of many is low by chance too
