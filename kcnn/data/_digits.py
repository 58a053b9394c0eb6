"""The embedded set: 1,797 handwritten digits, 8x8, that come with scikit-learn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kcnn.data._arrays import from_arrays
from kcnn.data._record import Dataset

__all__ = ["load_digits"]


def load_digits(**options: Any) -> Dataset:
    """Pixels 0..16 become 0..255; see `kcnn.data.load`. Offline."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    x = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)[..., None]
    options["flip"] = False if options.get("flip") is None else options["flip"]
    data = from_arrays(x, bunch.target, name="digits", **options)
    note = "digits: scikit-learn's 8x8 images, 0..16 scaled to 0..255; a mirrored digit is no digit"
    return dataclasses.replace(data, notes=(note, *data.notes))
