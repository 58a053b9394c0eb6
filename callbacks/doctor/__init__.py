"""The doctor: names the root cause when a network does not train."""

from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._examine import examine

__all__ = ["Diagnosis", "examine"]
