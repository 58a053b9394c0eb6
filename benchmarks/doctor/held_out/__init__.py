"""The half the result is reported on; nothing is tuned on it."""

from benchmarks.doctor.held_out import (  # noqa: F401
    body_depth,
    body_width,
    data,
    head,
    healthy_images,
    healthy_tables,
    optimizer,
    protocol,
    scale,
)
