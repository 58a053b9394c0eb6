"""An exported file against Keras's own answers, on pictures of the real world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kcnn.serving._servable import Servable

__all__ = ["check", "check_pictures"]

FLOAT_TOLERANCE = 1e-4  # of a probability: float32 in another order of additions stays below 1e-5
WINDOWS = 8  # pictures cut from one photograph


def check(
    servable: Servable,
    pictures: np.ndarray,
    answer: Callable[[np.ndarray], np.ndarray],
    *,
    what: str,
    exact: bool,
) -> dict[str, Any]:
    """How far `answer`'s probabilities are from Keras's, for the card.

    Raises ValueError if the answers have another shape, are no numbers, or differ by more than 1e-4
    where both compute in float32 (`exact`).
    """
    expected = np.asarray(keras.ops.convert_to_numpy(servable.probabilities(pictures)), "float64")
    got = np.asarray(answer(pictures), "float64")
    if got.shape != expected.shape or not np.isfinite(got).all():
        raise ValueError(
            f"export: {what} answers {got.shape} with {np.isfinite(got).sum()} finite numbers, "
            f"Keras {expected.shape}; the file is not kept."
        )
    difference = float(np.abs(got - expected).max())
    if exact and difference > FLOAT_TOLERANCE:
        raise ValueError(
            f"export: {what} differs from Keras by {difference:.2g} in a probability (at most "
            f"{FLOAT_TOLERANCE:g} is kept) on {len(pictures)} pictures; the file is not kept."
        )
    agreement = float((got.argmax(axis=1) == expected.argmax(axis=1)).mean())
    return {
        "pictures": len(pictures),
        "largest_difference": difference,
        "top_class_agreement": agreement,
    }


def check_pictures(servable: Servable, given: np.ndarray | None) -> np.ndarray:
    """float32 pictures (k, h, w, c), 0..255, of the preprocessing's shape.

    The given ones, else windows of the photograph that comes with matplotlib.
    """
    preprocessing, channels = servable.preprocessing, servable.image_shape[2]
    windows = [np.asarray(given)] if given is not None else _windows(channels)
    if windows[0].ndim != (4 if given is not None else 3):
        raise ValueError(
            f"export: images of shape {windows[0].shape}; expected (n, h, w, channels)."
        )
    if servable.image_shape[0] is None:
        return np.stack(windows).reshape(-1, *windows[0].shape[-3:]).astype("float32")
    fitted = [np.asarray(preprocessing.resized(window)) for window in windows]
    return np.concatenate([f if f.ndim == 4 else f[None] for f in fitted]).astype("float32")


def _windows(channels: int) -> list[np.ndarray]:
    """Parts of one size at different places of the photograph, every other one mirrored."""
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        pixels = np.asarray(photograph.convert("RGB"))
    pixels = pixels if channels == 3 else pixels.mean(axis=2, keepdims=True).repeat(channels, 2)
    side = min(pixels.shape[:2]) * 3 // 5
    places = np.linspace(0, 1, WINDOWS)
    found = []
    for number, place in enumerate(places):
        top = round(place * (pixels.shape[0] - side))
        left = round((number * 3 % WINDOWS) / (WINDOWS - 1) * (pixels.shape[1] - side))
        window = pixels[top : top + side, left : left + side]
        found.append(np.ascontiguousarray(window[:, ::-1] if number % 2 else window))
    return found
