"""Which learning rate: the range test, the sweep, short trainings, and the customary one."""

from kcnn.callbacks.learning_rate._find_lr import FoundRate, find_lr
from kcnn.callbacks.learning_rate._lr_finder import LRFinder
from kcnn.callbacks.learning_rate._lr_sweep import LRSweep, SweepResult
from kcnn.callbacks.learning_rate._range_judge import RangeResult, judge_range
from kcnn.callbacks.learning_rate._range_rules import centered, smoothed
from kcnn.callbacks.learning_rate._rates import RateCurve
from kcnn.callbacks.learning_rate._usual_rate import usual_rate

__all__ = [
    "FoundRate", "LRFinder", "LRSweep", "RangeResult", "RateCurve", "SweepResult", "centered",
    "find_lr", "judge_range", "smoothed", "usual_rate",
]  # fmt: skip
