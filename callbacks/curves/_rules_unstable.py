"""Rules for trainings that do not stay on course; each gives a finding or None."""

from typing import Any

import numpy as np

from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves._facts import Facts, ending
from kcnn.callbacks.curves._stats import noise_level, normal_cdf, slope

__all__ = ["broken", "relapsed", "rising", "shaking", "thrown_out"]

CALMER = "Use a smaller learning rate, a warmup or gradient clipping"
RELAPSE = 0.25  # of what had been learned
RESTLESS = 0.0012  # of the loss, from epoch to epoch: more than a small rate does


def broken(facts: Facts) -> Finding:
    """NaN or infinity."""
    curve = facts.loss if not np.isfinite(facts.loss).all() else facts.val_loss
    assert curve is not None
    epoch = int(np.flatnonzero(~np.isfinite(curve))[0]) + 1
    seen = f"the loss is {curve[epoch - 1]} in epoch {epoch}"
    return _unstable("failure", seen, 1.0, epoch=epoch)


def rising(facts: Facts) -> Finding | None:
    """A training loss above where it began."""
    low = int(np.argmin(facts.loss))
    rise = facts.end_loss - facts.loss[0]
    if rise > max(4 * facts.noise, 0.1 * abs(facts.loss[0])) and low < facts.epochs - 1:
        seen = f"the training loss rose from {facts.loss[0]:.3g} to {facts.end_loss:.3g}"
        return _unstable("failure", seen, normal_cdf(rise / max(facts.noise, 1e-12)))
    return None


def shaking(facts: Facts) -> Finding | None:
    """Spikes or oscillation of the training loss, large against what was learned."""
    loss = facts.loss
    reached = float(loss[0] - loss.min())
    ups = np.diff(loss)
    scale = max(reached, 0.05 * abs(float(loss[0])), 1e-12)
    worst = float(ups.max(initial=0.0))
    late = loss[len(loss) // 3 :]
    swing = noise_level(late) / scale
    if worst > 0.3 * scale:
        at = int(np.argmax(ups)) + 2
        seen = f"the training loss jumps by {worst:.3g} in epoch {at}"
        return _unstable("warning", seen, min(1.0, worst / scale), epoch=at, jump=worst)
    if swing > 0.15:
        around = f"{noise_level(late):.3g} around {ending(loss):.3g}"
        seen, sure = f"the training loss swings by {around}", min(1.0, swing / 0.3)
        return _unstable("warning", seen, sure, swing=noise_level(late))
    return None


def relapsed(facts: Facts) -> Finding | None:
    """Training loss that has climbed back over a good part of what it had fallen."""
    loss = facts.loss
    low = int(np.argmin(loss))
    learned, lost = float(loss[0] - loss[low]), facts.end_loss - float(loss[low])
    if learned < 0.05 * abs(float(loss[0])) or low >= facts.epochs - 2:
        return None
    if lost < max(RELAPSE * learned, 4 * facts.noise):
        return None
    seen = f"the training loss fell to {loss[low]:.3g} in epoch {low + 1}, then rose to "
    seen, sure = f"{seen}{facts.end_loss:.3g}", normal_cdf(lost / max(facts.noise, 1e-12) - 1)
    return _unstable("warning", seen, sure, epoch=low + 1, rise=lost)


def thrown_out(facts: Facts) -> Finding | None:
    """Restless and level since the first epoch: large steps have wrecked the model.

    Where the accuracy shows that nothing is learned, level since the first quarter is enough.
    With too small a rate the loss is as level, but calm.
    """
    rest = late = facts.loss[1:]
    if facts.accuracy is not None:
        end, first = ending(facts.accuracy), float(facts.accuracy[0])
        known = np.isfinite(facts.accuracy).all()
        if known and (end >= 0.5 or end - first >= 0.05):
            return None
        late = facts.loss[max(1, facts.epochs // 4) :]  # what was blown up takes time to fall
    per_epoch, error = slope(late)
    gained = -per_epoch * len(late)
    if gained > max(2 * error * len(late), 0.02 * abs(late[0])) or late.min() < 0.75 * late[0]:
        return None
    swing = noise_level(rest)
    if facts.val_loss is not None:
        swing = min(swing, noise_level(facts.val_loss[1:]))
    level = ending(facts.loss)
    if swing < RESTLESS * abs(level):
        return None
    seen = f"the loss swings around {level:.3g} since the first epoch and nothing is learned"
    sure = min(1.0, 0.5 + swing / (4 * RESTLESS * abs(level)))
    return _unstable("failure", seen, sure, swing=swing)


def _unstable(severity: str, seen: str, confidence: float, **evidence: Any) -> Finding:
    return Finding(
        "unstable",
        severity,
        seen,
        "a training loss that falls smoothly",
        f"{CALMER}.",
        "lr_too_high",
        evidence={"confidence": confidence, **evidence},
    )
