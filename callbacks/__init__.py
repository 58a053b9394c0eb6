"""Instruments for `model.fit`: each hears what training says and answers with findings."""

if __name__ != "kcnn.callbacks":
    raise ImportError(
        "This folder is the package kcnn.callbacks; importing it as "
        f"{__name__!r} would define every class twice. Use `import kcnn.callbacks`."
    )

from kcnn.callbacks._expected import expected_initial_loss
from kcnn.callbacks._finding import Finding, print_sink
from kcnn.callbacks._range_result import RangeResult
from kcnn.callbacks._rates import RateCurve
from kcnn.callbacks._snapshot import Snapshot
from kcnn.callbacks.curves import CurveReading, read_curves
from kcnn.callbacks.doctor import Diagnosis, Doctor, examine
from kcnn.callbacks.find_lr import FoundRate, find_lr
from kcnn.callbacks.initial_loss import InitialLossCheck, judge_initial_loss
from kcnn.callbacks.lr_finder import LRFinder
from kcnn.callbacks.lr_sweep import LRSweep, SweepResult
from kcnn.callbacks.overfit import OverfitDetector
from kcnn.callbacks.small_sample import SmallSampleCheck, SmallSampleResult, judge_small_sample

__all__ = [
    "CurveReading",
    "Diagnosis",
    "Doctor",
    "Finding",
    "FoundRate",
    "InitialLossCheck",
    "LRFinder",
    "LRSweep",
    "OverfitDetector",
    "RangeResult",
    "RateCurve",
    "SmallSampleCheck",
    "SmallSampleResult",
    "Snapshot",
    "SweepResult",
    "examine",
    "expected_initial_loss",
    "find_lr",
    "judge_initial_loss",
    "judge_small_sample",
    "print_sink",
    "read_curves",
]
