"""A split as batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcnn.data._pipeline import build_pipeline

if TYPE_CHECKING:
    from kcnn.data._record import Split

__all__ = ["batches"]


def batches(split: Split, batch_size: int, **options: Any) -> Any:
    """`split.batches(batch_size, ...)`; see there."""
    return build_pipeline(
        split.rows,
        split.labels,
        split.preprocessing,
        batch_size,
        cache=split.cache,
        skip_bad=split.skip_bad,
        classes=split.classes,
        **options,
    )
