"""A benchmark of faulty, mended and healthy Keras programs for `kcnn.callbacks.examine`."""

from benchmarks.doctor._registry import HALVES, Case, Program, programs

__all__ = ["HALVES", "Case", "Program", "programs"]
