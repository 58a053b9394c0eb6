"""How others suggest a learning rate from a range test, written from their descriptions.

Each takes the rates and raw batch losses of a full test and does its own smoothing,
stopping and trimming; it gives a rate, or None where it gives up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["METHODS"]


def _smooth(losses: np.ndarray, momentum: float, first: int = 1) -> np.ndarray:
    """Exponential average, bias corrected as if the first step were number `first`."""
    average, out = 0.0, []
    for i, loss in enumerate(losses):
        average = momentum * average + (1 - momentum) * loss
        out.append(average / (1 - momentum ** (i + first)))
    return np.asarray(out)


def _until(rates: np.ndarray, smooth: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Up to the step at which the smoothed loss exceeds `factor` times its best."""
    best = np.minimum.accumulate(np.nan_to_num(smooth, nan=np.inf, posinf=np.inf))
    bad = smooth > factor * best  # not true of NaN: none of the packages stops there
    end = int(np.argmax(bad)) + 1 if bad.any() else len(smooth)
    return rates[:end], smooth[:end]


def _fastai(rates, losses):
    """fastai `Learner.lr_find`: 1e-7 to 10, average 0.98, stops at 4 times the best, NaN out.

    The first tenth of the planned steps and the last five are not looked at.
    """
    rates, smooth = _until(rates, _smooth(losses, 0.98), 4.0)
    rates, smooth = rates[10:-5], smooth[10:-5]
    kept = np.isfinite(smooth)
    return rates[kept], smooth[kept]


def fastai_valley(rates, losses):
    """A third and a half of a third along the longest falling subsequence."""
    rates, smooth = _fastai(rates, losses)
    if len(smooth) < 3:
        return None
    length = np.ones(len(smooth), int)
    for i in range(1, len(smooth)):
        higher = smooth[:i] > smooth[i]
        if higher.any():
            length[i] = length[:i][higher].max() + 1
    end = int(np.argmax(length))
    begin = end - int(length[end])  # one before its first step
    third = (end - begin) / 3
    return float(rates[begin + int(third) + int(third / 2)])


def fastai_slide(rates, losses, width=15, threshold=0.005):
    """A window of 15 steps slides down from the end until its ends have equal slopes."""
    rates, smooth = _fastai(rates, losses)
    if len(smooth) <= width:
        return None
    slope = np.gradient(smooth)
    right, left = len(smooth) - 1, len(smooth) - 1 - width
    found = rates[left]
    while left >= 0 and abs(slope[right] - slope[left]) > threshold:
        found = rates[left]
        right, left = right - 1, left - 1
    return float(found)


def fastai_minimum(rates, losses):
    """A tenth of the rate with the lowest smoothed loss."""
    rates, smooth = _fastai(rates, losses)
    return float(rates[np.argmin(smooth)]) / 10 if len(smooth) else None


def fastai_steep(rates, losses):
    """Where the smoothed loss falls fastest over the logarithm of the rate."""
    rates, smooth = _fastai(rates, losses)
    if len(smooth) < 2:
        return None
    return float(rates[np.argmin(np.diff(smooth) / np.diff(np.log(rates)))])


def lightning(rates, losses):
    """PyTorch Lightning's tuner: average 0.98, first 10 and last step out, slope over the rate.

    Its correction of the average's bias counts steps from 2, so that the curve begins at
    half of the loss and rises.
    """
    rates, smooth = _until(rates, _smooth(losses, 0.98, first=2), 4.0)
    rates, smooth = rates[10:-1], smooth[10:-1]
    kept = np.isfinite(smooth)
    rates, smooth = rates[kept], smooth[kept]
    if len(smooth) < 2:
        return None
    return float(rates[np.argmin(np.gradient(smooth, rates))])


def torch_lr_finder(rates, losses):
    """pytorch-lr-finder: 0.05 of each new loss, stops at 5 times the best, steepest per step.

    It gives up with fewer than 17 steps, and does not look for NaN.
    """
    smooth = [losses[0]]
    for loss in losses[1:]:
        smooth.append(0.05 * loss + 0.95 * smooth[-1])
    rates, curve = _until(rates, np.asarray(smooth), 5.0)
    rates, curve = rates[10:-5], curve[10:-5]
    return float(rates[np.argmin(np.gradient(curve))]) if len(curve) > 1 else None


# name: (method, first rate, last rate) of its own default range, 100 steps each
METHODS: dict[str, tuple[Callable, float, float]] = {
    "fastai valley": (fastai_valley, 1e-7, 10.0),
    "fastai slide": (fastai_slide, 1e-7, 10.0),
    "fastai minimum/10": (fastai_minimum, 1e-7, 10.0),
    "fastai steep": (fastai_steep, 1e-7, 10.0),
    "Lightning": (lightning, 1e-8, 1.0),
    "torch-lr-finder": (torch_lr_finder, 1e-7, 10.0),
}
