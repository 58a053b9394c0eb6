"""Say that a data set does not fit before the machine does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kcnn.data._record import DataError

__all__ = ["available_memory", "require_memory"]

_LIMITS = (  # a container's limit and its use, in bytes: version 2, then version 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, or None where the system does not tell."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    for limit, used in _LIMITS:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # no container, or "max"
            continue
        found.append(max(left, 0))
    return min(found) if found else None


def require_memory(
    images: int, image_shape: Sequence[int], *, name: str, itemsize: int = 1
) -> None:
    """DataError unless the images fit twice into four fifths of the free memory.

    Twice: the arrays, and the tensor that `batches` makes of them.
    """
    free = available_memory()
    need = images * int(np.prod(image_shape, dtype=np.int64)) * itemsize
    if free is None or 2 * need <= 0.8 * free:
        return
    most = int(images * 0.8 * free / (2 * need))
    size = "x".join(str(side) for side in image_shape)
    raise DataError(
        f"{name}: {images} images of {size} take {need / 2**30:.1f} GiB (twice that "
        f"while training) and {free / 2**30:.1f} GiB is free; give a smaller image_size or "
        f"max_images={max(most, 1)}."
    )
