"""What loss and accuracy curves say, after a training and while it goes on."""

from kcnn.callbacks.curves._overfit_detector import OverfitDetector
from kcnn.callbacks.curves._read import CurveReading, read_curves
from kcnn.callbacks.curves._rules_overfit import Overfitting, judge_overfitting
from kcnn.callbacks.curves._stats import normal_cdf, wander

__all__ = [
    "CurveReading", "OverfitDetector", "Overfitting", "judge_overfitting", "normal_cdf",
    "read_curves", "wander",
]  # fmt: skip
