"""Programs of real size and kind, drawn up last and examined once."""

from benchmarks.doctor.sealed import (  # noqa: F401
    classes,
    healthy,
    masks,
    outputs,
    pictures,
    residual,
    sequences,
    steps,
    streams,
)
