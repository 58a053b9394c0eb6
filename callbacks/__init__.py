"""Instruments for `model.fit`: each hears what training says and answers with findings."""

if __name__ != "kcnn.callbacks":
    raise ImportError(
        "This folder is the package kcnn.callbacks; importing it as "
        f"{__name__!r} would define every class twice. Use `import kcnn.callbacks`."
    )

from kcnn.callbacks._assert_trains import assert_trains
from kcnn.callbacks._finding import Finding
from kcnn.callbacks.curves import CurveReading, OverfitDetector, read_curves
from kcnn.callbacks.doctor import Diagnosis, Doctor, examine
from kcnn.callbacks.learning_rate import (
    FoundRate,
    LRFinder,
    LRSweep,
    RangeResult,
    RateCurve,
    SweepResult,
    find_lr,
)
from kcnn.callbacks.sanity import (
    InitialLossCheck,
    SmallSampleCheck,
    SmallSampleResult,
    expected_initial_loss,
    judge_initial_loss,
    judge_small_sample,
)
from kcnn.callbacks.sinks import (
    JsonLinesSink,
    MLflowSink,
    TensorBoardSink,
    WandbSink,
    all_sinks,
    print_sink,
)
from kcnn.callbacks.state import Snapshot

__all__ = [
    "CurveReading", "Diagnosis", "Doctor", "Finding", "FoundRate", "InitialLossCheck",
    "JsonLinesSink", "LRFinder", "LRSweep", "MLflowSink", "OverfitDetector", "RangeResult",
    "RateCurve", "SmallSampleCheck", "SmallSampleResult", "Snapshot", "SweepResult",
    "TensorBoardSink", "WandbSink", "all_sinks", "assert_trains", "examine",
    "expected_initial_loss", "find_lr", "judge_initial_loss", "judge_small_sample", "print_sink",
    "read_curves",
]  # fmt: skip
