"""What a trial can change: data, rates, loss or network, one thing at a time."""

from kcnn.callbacks.doctor.interventions._intervention import Edit, Intervention
from kcnn.callbacks.doctor.interventions._network import (
    bare_end,
    bounded,
    deeper,
    leaky,
    rectified,
    regularizes,
    relaxed,
    thawed,
    unnormed,
    unstrided,
    untransformed,
    wider,
)  # fmt: skip

__all__ = [
    "Edit", "Intervention", "bare_end", "bounded", "deeper", "leaky", "rectified", "regularizes",
    "relaxed", "thawed", "unnormed", "unstrided", "untransformed", "wider",
]  # fmt: skip
