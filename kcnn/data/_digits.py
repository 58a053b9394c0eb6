"""The embedded set: 1,797 handwritten digits, 8x8 (digits.LICENSE.txt: source and licence)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kcnn.data._arrays import look_at_arrays
from kcnn.data._source import LoadOptions, SourceData, register_source

__all__ = ["load_digits"]

_FILE = Path(__file__).with_name("digits.npz")


def load_digits(source: Any, options: LoadOptions) -> SourceData:
    """Pixels 0..16 become 0..255. Offline."""
    with np.load(_FILE) as file:
        x, y = np.rint(file["x"] * (255.0 / 16.0)).astype(np.uint8)[..., None], file["y"]
    found = look_at_arrays(x, y, name="digits")
    note = "digits: scikit-learn's 8x8 images, 0..16 scaled to 0..255; a mirrored digit is no digit"
    return found.replace(flip=False, notes=(note, *found.notes))


register_source("digits", matches=lambda source: source == "digits", load=load_digits)
