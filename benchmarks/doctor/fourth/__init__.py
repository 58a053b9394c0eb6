"""A second sealed part: more programs of real size and kind, examined once on one frozen code."""

from benchmarks.doctor.fourth import healthy, maps, pictures, sequences, tables  # noqa: F401
