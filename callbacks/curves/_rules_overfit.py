"""Rules for trainings that fit their own data better than others; a finding or None."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves._facts import SURE, Facts, ending, facts_of
from kcnn.callbacks.curves._stats import normal_cdf

__all__ = [
    "Overfitting", "judge_overfitting", "overfit_confidence", "overfitting", "turned", "wide_gap",
]  # fmt: skip

MORE_DATA = (
    "Use more data, stronger augmentation or more regularization (dropout, weight decay), or "
    "a smaller model"
)
WIDE_ACCURACY = 0.1  # training less validation
TURN = 19.0  # `Valley.turn` of 1 in 20 level curves of 5 to 100 noisy values
WIDE_LOSS, WIDE_RATIO = 0.12, 0.5  # gap, of the first training loss and of the last one


@dataclasses.dataclass(frozen=True)
class Overfitting:
    """A validation loss that turned for good while the training loss went on falling.

    Args:
        onset_epoch: Epoch (from 1) of its lowest value.
        lowest: That value.
        low, rise: Level around it, and how far above the end is.
        fallen_to: Training loss at the end.
        first: Loss that the rise is large or small against.
        confidence: That it is not made by noise, 0..1.
        gap: Validation less training loss at the end.
    """

    onset_epoch: int
    lowest: float
    low: float
    rise: float
    fallen_to: float
    first: float
    confidence: float
    gap: float | None

    def finding(self) -> Finding:
        """The same as a finding, a warning."""
        return Finding(
            "overfitting",
            "warning",
            f"validation loss lowest ({self.low:.3g}) after epoch {self.onset_epoch}, then up to "
            f"{self.low + self.rise:.3g} while the training loss fell to {self.fallen_to:.3g}",
            "validation loss falling or level as long as the training loss falls",
            f"{MORE_DATA}; or stop at epoch {self.onset_epoch}.",
            "overfitting",
            evidence={
                "onset_epoch": self.onset_epoch,
                "confidence": self.confidence,
                "best_val_loss": self.lowest,
                "rise": self.rise,
                "gap": self.gap,
            },
        )


def judge_overfitting(history: Mapping[str, Sequence[float]]) -> Overfitting | None:
    """Whether "loss" and "val_loss" of a history, one value for each epoch, show overfitting."""
    loss, val = history.get("loss", ()), history.get("val_loss", ())
    if not len(loss) or len(loss) != len(val):
        return None
    return turned(facts_of({"loss": loss, "val_loss": val}))


def turned(facts: Facts) -> Overfitting | None:
    """The one judge of overfitting: after a run, while it goes on, and for the doctor."""
    confidence = overfit_confidence(facts)
    if confidence < SURE:
        return None
    low = facts.valley
    assert low is not None
    assert facts.val_loss is not None
    return Overfitting(
        int(facts.numbers[low.index]),
        float(facts.val_loss[low.index]),
        low.low,
        low.rise,
        facts.end_loss,
        max(abs(float(facts.val_loss[0])), facts.scale),
        confidence,
        facts.gap,
    )


def overfitting(facts: Facts) -> Finding | None:
    """Validation loss past its lowest point while the training loss still falls."""
    found = turned(facts)
    return None if found is None else found.finding()


def wide_gap(facts: Facts) -> Finding | None:
    """Training far better than validation, though the validation loss does not rise for sure.

    A warning, which makes the verdict "overfitting", where the training data are learned, the
    validation loss has stopped falling and the accuracies are that far apart (the losses nearly
    twice as far, where no accuracy is known); else a note.
    """
    difference, confidence = _accuracy_gap(facts), _gap_confidence(facts)
    wide = confidence >= SURE if difference is None else difference >= WIDE_ACCURACY
    if not (wide or _losses_apart(facts)):
        return None
    if difference is not None and wide:
        assert facts.accuracy is not None
        end, other, what = ending(facts.accuracy), ending(facts.accuracy) - difference, "accuracy"
        expected = f"less than {WIDE_ACCURACY} apart"
    else:
        assert facts.gap is not None
        end, other, what = facts.end_loss, facts.end_loss + facts.gap, "loss"
        expected = "a validation loss near the training loss"
    return Finding(
        "generalization_gap",
        "warning" if wide and facts.fitted and not facts.improving else "note",
        f"{what} {end:.3g} in training and {other:.3g} in validation",
        expected,
        f"{MORE_DATA}.",
        "overfitting",
        evidence={"difference": difference, "gap": facts.gap, "confidence": confidence},
    )


def overfit_confidence(facts: Facts) -> float:
    """That the validation loss turned while the training loss went on falling, 0..1."""
    low = facts.valley
    if low is None or low.index >= facts.epochs - 2 or facts.val_loss is None:
        return 0.0
    fallen = float(np.mean(facts.loss[max(0, low.index - 1) : low.index + 1])) - facts.end_loss
    if fallen <= 0:
        return 0.0
    if low.rise < 0.02 * abs(low.low):
        return 0.0
    confidence = normal_cdf(low.z - 1.0)  # the lowest of many is low by chance too
    if low.z > 1.0 and _losses_apart(facts):  # a rise that has dipped at the end counts, too
        confidence = max(confidence, normal_cdf(1.645 * math.sqrt(low.turn / TURN)))
    return confidence


def _losses_apart(facts: Facts) -> bool:
    return facts.gap is not None and facts.gap > _wide_loss(facts)


def _wide_loss(facts: Facts) -> float:
    reached = abs(facts.end_loss) if facts.bounded else facts.scale
    return max(WIDE_LOSS * facts.scale, WIDE_RATIO * reached)


def _accuracy_gap(facts: Facts) -> float | None:
    """Training accuracy less validation accuracy at the end; None if not known."""
    train, val = facts.accuracy, facts.val_accuracy
    if train is None or val is None or not np.isfinite([*train, *val]).all():
        return None
    return ending(train) - ending(val)


def _gap_confidence(facts: Facts) -> float:
    """How far the gap is beyond what is wide: 0.5 at the limit, 0.98 at twice of it."""
    difference = _accuracy_gap(facts)
    if difference is not None:
        return normal_cdf(2 * (difference / WIDE_ACCURACY - 1))
    if facts.gap is None:
        return 0.0
    return normal_cdf(2 * (facts.gap / max(_wide_loss(facts), 1e-12) - 1))
