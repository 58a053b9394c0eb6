"""Ordinary set-ups as papers and tutorials have them, small: the doctor has nothing to say of them.

Each is a function that returns `(model, x, y, fit)`, compiled; `ZOO` holds them by name.
"""

from doctor_zoo import images, maps, own_steps, sequences, tables, training  # noqa: F401
from doctor_zoo.make import ZOO

__all__ = ["ZOO"]
