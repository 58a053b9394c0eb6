"""Learning rates suggested by one range test, each by a rule with a name and a reason."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from kcnn.callbacks._finding import Record
from kcnn.callbacks.learning_rate._rates import noise_of

__all__ = ["Suggestion", "centered", "longest_fall", "smoothed", "suggestions"]


# Fitted on the tuning tasks of benchmarks/lr_suggestion.py. Where the loss is lowest or falls
# fastest says little: it depends on the noise, and a fast sweep outruns divergence. Where it
# breaks out says more, told in three ways, and is earlier in longer trainings the more is
# learned by then. Most is known beforehand: `usual_rate`.
JUMP, RISE = 0.10, 0.05  # of the first level: a single loss, the smoothed loss, above it is out
NOISES = 6.0  # at least so many of its standard deviations above the first level
BACK = 0.5  # of its fall: the smoothed loss up again by so much is out
OUT_SHARE = 1 / 3  # weight of the break against the usual rate, in the logarithm
MOST = 1 / 2  # of the break: wide networks break far below the usual rate
BELOW_BREAK, BELOW_SIZE = 10.0, 64  # where no rate is usual: so far below, in batches of so many
MOVED = 0.2  # share of a kernel's norm: so far it moved, and the loss hid it in its noise
SPREAD = 0.25  # decades: the smoothing's standard deviation


@dataclasses.dataclass(frozen=True)
class Suggestion(Record):
    """A learning rate, the name of the rule that gives it, and the rule's reason."""

    name: str
    lr: float
    reason: str


def smoothed(losses: ArrayLike, momentum: float = 0.9) -> np.ndarray:
    """Exponential moving average without the bias towards 0 at the start. float64."""
    average, out = 0.0, []
    for i, loss in enumerate(np.asarray(losses, "float64")):
        average = momentum * average + (1 - momentum) * loss
        out.append(average / (1 - momentum ** (i + 1)))
    return np.asarray(out)


def centered(losses: ArrayLike, spread: float = 2.0) -> np.ndarray:
    """Mean of the neighbours on both sides (Gaussian weights): no lag. float64."""
    values = np.asarray(losses, "float64")
    reach = int(3 * spread)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    inside = slice(reach, reach + len(values))
    weights = np.convolve(np.ones(len(values)), window)[inside]
    return np.convolve(values, window)[inside] / weights


def suggestions(
    rates: ArrayLike,
    losses: ArrayLike,
    *,
    ended: bool = False,
    usual: float | None = None,
    batch: float | None = None,
    moved: float = 0.0,
) -> tuple[Suggestion, ...]:
    """What each rule says.

    Where the losses never fall clearly only "kcnn" may say something: if they break out, grow
    restless, or bear it that the weights move far.

    Args:
        rates: Learning rate of each step, rising.
        losses: Each step's own batch loss, finite.
        ended: Whether the next loss was not finite.
        usual: The rate that usually serves: "kcnn" lies between it and the break.
        batch: Samples behind one update, for where no rate is usual.
        moved: The largest change of a kernel, as a share of its norm.
    """
    rate, raw = np.asarray(rates, "float64"), np.asarray(losses, "float64")
    if len(raw) < 10:
        return ()
    seen = _outcome(rate, raw)
    if not falls_clearly(losses):
        bears = usual is not None and moved > MOVED and np.ptp(raw) > 1e-6 * abs(raw[0])
        if not (seen.jumps or ended or _restless(raw) or bears):
            return ()
        return (_kcnn(seen, rate, usual, batch, "the loss falls nowhere clearly; "),)
    loss = smoothed(raw)
    found = [_steepest(rate, loss), _minimum(rate, loss), _valley(rate, loss)]
    found.append(_kcnn(seen, rate, usual, batch))
    return tuple(s for s in found if s is not None)


def falls_clearly(losses: ArrayLike) -> bool:
    """Whether the losses fall by more than noise makes the lowest mean of a window lower."""
    values = np.asarray(losses, "float64")
    window = max(3, len(values) // 10)
    means = np.convolve(values, np.ones(window) / window, "valid")
    start = float(np.mean(values[: max(window, len(values) // 4)]))
    error = noise_of(values) / np.sqrt(window)
    return start - float(means.min()) > max(4 * error, 0.01 * abs(start))


def _level(raw: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the losses in the first fifth (at least the rounding's)."""
    head = raw[: max(5, len(raw) // 5)]
    level = float(np.mean(head))
    return level, max(float(np.std(head)), 3e-4 * abs(level))


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """Where the loss breaks out (the last rate, if it does not), and its fall before."""

    out: float
    breaks: bool
    jumps: bool
    fall: float  # of the smoothed loss, as a share of the first level, 0..1


def _outcome(rate: np.ndarray, raw: np.ndarray) -> _Outcome:
    """Mean, in the logarithm, of where a loss and the smoothed loss are out, and of the latter
    with where the fall is undone.

    A model that large steps have wrecked may come back to its first level: what follows
    the first break says nothing.
    """
    level, noise = _level(raw)
    per_decade = (len(rate) - 1) / max(float(np.log10(rate[-1] / rate[0])), 1e-6)
    spread = float(np.clip(SPREAD * per_decade, 1.0, max(1.0, len(raw) / 8)))
    smooth = centered(np.minimum(raw, level + 3 * abs(level) + 20 * noise), spread)
    fall = level - np.minimum.accumulate(smooth)
    clear = fall > max(3 * noise / np.sqrt(2 * spread), 0.05 * abs(level))
    jump, rise, back = (
        _first(rate, steps)
        for steps in (
            raw > level + max(JUMP * abs(level), NOISES * noise),
            smooth > level + max(RISE * abs(level), NOISES * noise),
            clear & (smooth - level + fall > BACK * fall),
        )
    )
    last = float(np.log(rate[-1]))
    out = sum(last if at is None else at for at in (jump, rise)) / 2
    out = out if back is None else (out + back) / 2
    jumps = jump is not None or rise is not None
    share = float(np.clip(fall[-1] / max(abs(level), 1e-12), 0, 1))
    return _Outcome(float(np.exp(out)), jumps or back is not None, jumps, share)


def _first(rate: np.ndarray, steps: np.ndarray) -> float | None:
    """Logarithm of the first rate of these steps, the first tenth apart."""
    start = len(steps) // 10
    late = steps[start:]
    return float(np.log(rate[start + int(np.argmax(late))])) if late.any() else None


def _restless(raw: np.ndarray) -> bool:
    """Whether the last tenth scatters far more than the first fifth: the steps do something."""
    last = raw[-max(5, len(raw) // 10) :]
    return float(np.std(last)) > 2 * _level(raw)[1] > 0


def _kcnn(
    seen: _Outcome, rate: np.ndarray, usual: float | None, batch: float | None, why: str = ""
) -> Suggestion:
    """Between the usual rate and the break; lower, the more was learned before it."""
    where = f"{seen.out:.2g}, " + ("where the loss breaks out" if seen.breaks else "the last rate")
    if usual is None:
        share = BELOW_BREAK / ((batch or BELOW_SIZE) / BELOW_SIZE) ** 0.5
        lr, told = seen.out / share, f"{1 / share:.2g} times {where}"
    else:
        near = float(np.clip(usual, rate[0], rate[-1]))
        lr = near ** (1 - OUT_SHARE) * seen.out**OUT_SHARE
        told = (
            f"between {near:.2g}, usual with this optimizer, batch size and normalization, "
            f"and {where}"
        )
    lr *= float(np.exp(-seen.fall))
    if lr > MOST * seen.out:
        lr, told = MOST * seen.out, f"half of {where}"
    elif seen.fall > 0.05:
        told += f"; lowered, as the loss had fallen by {seen.fall:.0%}"
    return Suggestion("kcnn", lr, f"{why}{told}")


def _steepest(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    grad, low = np.gradient(loss, np.log10(rate)), int(np.argmin(loss))
    at = int(np.argmin(grad[: max(low, 1)]))
    if low < 2 or grad[at] >= 0:
        return None
    reason = f"the smoothed loss falls fastest here: {-grad[at]:.2g} per factor of 10"
    return Suggestion("steepest", float(rate[at]), reason)


def _minimum(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    low = int(np.argmin(loss))
    if low < 2:
        return None
    reason = f"a tenth of {rate[low]:.2g}, where the smoothed loss is lowest ({loss[low]:.3g})"
    return Suggestion("minimum/10", float(rate[low]) / 10, reason)


def _valley(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    start, end = longest_fall(loss)
    if end - start < 3:
        return None
    reason = f"the middle of the longest fall, {rate[start]:.2g} to {rate[end]:.2g}"
    return Suggestion("valley", float(rate[(start + end) // 2]), reason)


def longest_fall(loss: ArrayLike) -> tuple[int, int]:
    """First and last index of the longest falling subsequence (the earliest of the longest)."""
    loss = np.asarray(loss, "float64")
    length = np.ones(len(loss), int)
    previous = np.full(len(loss), -1)
    for i in range(1, len(loss)):
        higher = np.flatnonzero(loss[:i] > loss[i])
        if higher.size:
            best = higher[np.argmax(length[higher])]
            length[i], previous[i] = length[best] + 1, best
    end = start = int(np.argmax(length))
    while previous[start] >= 0:
        start = int(previous[start])
    return start, end
