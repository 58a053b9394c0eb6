"""The learning rate: customary, given, and step by step."""

from typing import Any

import keras
import numpy as np

from kcnn.callbacks.keras_internals import array_of, rate_source
from kcnn.callbacks.state import innermost

__all__ = ["customary_rate", "learning_rate", "peak_rate", "step_rates"]

USUAL = {"SGD": 0.02, "Adagrad": 0.01, "Adadelta": 1.0, "Ftrl": 0.01, "Lion": 1e-4}


def customary_rate(optimizer: Any) -> float:
    """A customary learning rate of this kind of optimizer."""
    inner = innermost(optimizer)[-1]
    return USUAL.get(type(inner).__name__, 1e-3)


def learning_rate(optimizer: Any, step: int = 0) -> float:
    """The rate at a step, from a number, a variable or a schedule."""
    rate = rate_source(innermost(optimizer)[-1])
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(step)
    elif callable(rate) and not isinstance(rate, keras.Variable):
        rate = rate()
    return float(array_of(rate))


def peak_rate(optimizer: Any, steps: int) -> float:
    """The largest rate of a run: a warm-up begins at 0."""
    if not _scheduled(optimizer):
        return learning_rate(optimizer)
    return float(step_rates(optimizer, [], max(steps, 1)).max())


def _scheduled(optimizer: Any) -> bool:
    rate = rate_source(innermost(optimizer)[-1])
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def step_rates(optimizer: Any, seen: list[float], steps: int) -> np.ndarray:
    """The rate at each of `steps` steps, float32: from the schedule, else from what was seen.

    Args:
        seen: The rate at the end of each epoch.
    """
    if _scheduled(optimizer):
        points = np.unique(np.linspace(0, steps - 1, min(steps, 64)).astype(int))
        rates = [learning_rate(optimizer, int(step)) for step in points]
        return np.interp(np.arange(steps), points, rates).astype("float32")
    rates = seen or [learning_rate(optimizer)]
    at = np.minimum(np.arange(steps) * len(rates) // steps, len(rates) - 1)
    return np.asarray(rates, "float32")[at]
