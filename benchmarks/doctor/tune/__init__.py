"""The half a doctor may be tuned on."""

from benchmarks.doctor.tune import (  # noqa: F401
    body_depth,
    body_width,
    data,
    head,
    healthy_images,
    healthy_tables,
    labels,
    optimizer,
    protocol,
    scale,
)
