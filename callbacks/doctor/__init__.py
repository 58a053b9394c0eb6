"""The doctor: names the root cause when a network does not train."""

from kcnn.callbacks.doctor._diagnosis import Diagnosis
from kcnn.callbacks.doctor._examine import examine
from kcnn.callbacks.doctor._live import Doctor

__all__ = ["Diagnosis", "Doctor", "examine"]
