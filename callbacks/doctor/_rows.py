"""The names of the sampler under which the doctor has known it."""

from kcnn.callbacks.data import Case, Rows, draw

__all__ = ["Case", "Rows", "draw"]
