"""Learning rates suggested by one range test, each by a rule with a name and a reason."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kcnn.callbacks._rates import noise_of

__all__ = ["Suggestion", "centered", "longest_fall", "smoothed", "suggestions"]


# Tuned on the tuning tasks of benchmarks/lr_suggestion.py. Where the loss is lowest says
# little: it depends on the noise, and a fast sweep outruns divergence. Where it breaks out is
# steadier, told in three ways; with it goes where it falls.
JUMP, RISE = 0.10, 0.05  # of the first level: a single loss, the smoothed loss, above it is out
NOISES = 6.0  # at least so many of its standard deviations above the first level
BACK = 0.5  # of its fall: the smoothed loss up again by so much is out
FALLEN = (0.5, 0.9)  # of the whole fall: its middle and its end
FALL_SHARE = 0.3  # weight of the fall against the break, in the logarithm
BELOW_MEAN, BELOW_BREAK = 6.0, 16.0  # the suggestion lies so far below; without a clear fall
USUAL_SHARE = 0.25  # weight of the optimizer's usual rate, in the logarithm
SPREAD = 0.25  # decades: the smoothing's standard deviation


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A learning rate, the name of the rule that gives it, and the rule's reason."""

    name: str
    lr: float
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """A dict of JSON types."""
        return dataclasses.asdict(self)


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
    rates: ArrayLike, losses: ArrayLike, *, ended: bool = False, usual: float | None = None
) -> tuple[Suggestion, ...]:
    """What each rule says.

    Where the losses never fall clearly only "kcnn" may say something: from where they
    break out, or grow restless, if they do.

    Args:
        rates: Learning rate of each step, rising.
        losses: Each step's own batch loss, finite.
        ended: Whether the next loss was not finite.
        usual: The rate that usually serves with this optimizer: "kcnn" is drawn towards it.
    """
    rate, raw = np.asarray(rates, "float64"), np.asarray(losses, "float64")
    if len(raw) < 10:
        return ()
    marks = _marks(rate, raw)
    if not falls_clearly(losses):
        if not marks.keys() & {"jump", "rise"} and not ended and not _restless(raw):
            return ()
        reason = "up to which the loss neither falls clearly nor breaks out"
        return (_drawn(_below(rate, marks, f"{reason}: "), rate, usual),)
    loss = smoothed(raw)
    found = [_steepest(rate, loss), _minimum(rate, loss), _valley(rate, loss)]
    found.append(_drawn(_below(rate, marks), rate, usual))
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


def _marks(rate: np.ndarray, raw: np.ndarray) -> dict[str, int]:
    """Steps at which the loss falls and breaks out, by name; those not seen are left out.

    "jump": a single loss well above the first level. "rise": the smoothed loss is. "back":
    the smoothed loss is up again by half of its fall. "middle", "end": of a clear fall.
    A model that large steps have wrecked may come back to its first level: what follows
    the first break says nothing.
    """
    level, noise = _level(raw)
    per_decade = (len(rate) - 1) / max(float(np.log10(rate[-1] / rate[0])), 1e-6)
    spread = float(np.clip(SPREAD * per_decade, 1.0, max(1.0, len(raw) / 8)))
    smooth = centered(np.minimum(raw, level + 3 * abs(level) + 20 * noise), spread)
    fall = level - np.minimum.accumulate(smooth)
    clear = fall > max(3 * noise / np.sqrt(2 * spread), 0.05 * abs(level))
    out = {
        "jump": raw > level + max(JUMP * abs(level), NOISES * noise),
        "rise": smooth > level + max(RISE * abs(level), NOISES * noise),
        "back": clear & (smooth - level + fall > BACK * fall),
    }
    for steps in out.values():
        steps[: len(raw) // 10] = False
    if clear[-1]:
        whole = float(fall[-1])
        for name, share in zip(("middle", "end"), FALLEN, strict=True):
            out[name] = smooth <= level - share * whole
    return {name: int(np.argmax(steps)) for name, steps in out.items() if steps.any()}


def _restless(raw: np.ndarray) -> bool:
    """Whether the last tenth scatters far more than the first fifth: the steps do something."""
    last = raw[-max(5, len(raw) // 10) :]
    return float(np.std(last)) > 2.5 * _level(raw)[1] > 0


def _below(rate: np.ndarray, marks: dict[str, int], why: str = "") -> Suggestion:
    """Below where the loss breaks out (at the last rate, if it does not) and falls."""
    log = np.log(rate)
    out = float(np.mean([log[marks.get(name, -1)] for name in ("jump", "rise")]))
    if "back" in marks:
        out = (out + float(log[marks["back"]])) / 2
    seen = marks.keys() & {"jump", "rise", "back"}
    told = f"{np.exp(out):.2g}, " + ("where the loss breaks out" if seen else "the last rate")
    if "end" not in marks:
        below = float(np.exp(out)) / BELOW_BREAK
        return Suggestion("kcnn", below, f"{why}a sixteenth of {told}")
    fall = float(log[marks["middle"]] + log[marks["end"]]) / 2
    mean = float(np.exp((1 - FALL_SHARE) * out + FALL_SHARE * fall))
    return Suggestion(
        "kcnn",
        mean / BELOW_MEAN,
        f"{why}a sixth of {mean:.2g}, between {np.exp(fall):.2g}, where most of the fall is, "
        f"and {told}",
    )


def _drawn(suggestion: Suggestion, rate: np.ndarray, usual: float | None) -> Suggestion:
    """The suggestion, part of the way towards the usual rate (or the tested one next to it)."""
    if usual is None:
        return suggestion
    usual = float(np.clip(usual, rate[0], rate[-1]))
    lr = suggestion.lr ** (1 - USUAL_SHARE) * usual**USUAL_SHARE
    reason = f"{suggestion.reason}; drawn towards {usual:.2g}, usual with this optimizer"
    return Suggestion(suggestion.name, lr, reason)


def _steepest(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    grad = np.gradient(loss, np.log10(rate))
    low = int(np.argmin(loss))
    if low < 2:
        return None
    at = int(np.argmin(grad[:low]))
    if grad[at] >= 0:
        return None
    return Suggestion(
        "steepest",
        float(rate[at]),
        f"the smoothed loss falls fastest here: {-grad[at]:.2g} per factor of 10",
    )


def _minimum(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    low = int(np.argmin(loss))
    if low < 2:
        return None
    return Suggestion(
        "minimum/10",
        float(rate[low]) / 10,
        f"a tenth of {rate[low]:.2g}, where the smoothed loss is lowest ({loss[low]:.3g})",
    )


def _valley(rate: np.ndarray, loss: np.ndarray) -> Suggestion | None:
    start, end = longest_fall(loss)
    if end - start < 3:
        return None
    at = (start + end) // 2
    return Suggestion(
        "valley",
        float(rate[at]),
        f"the middle of the longest fall, {rate[start]:.2g} to {rate[end]:.2g}",
    )


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
