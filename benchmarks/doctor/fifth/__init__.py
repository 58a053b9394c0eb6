"""A third sealed part, written without a look at the doctor: examined once on one frozen code."""

from benchmarks.doctor.fifth import healthy, pictures, scenes, sequences, tables  # noqa: F401
