"""What every source gives: three splits of images and labels, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["DataError", "Dataset", "Split"]


class DataError(ValueError):
    """Data that can't be trained on: one or two lines saying what, where and what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images `x` (n, height, width, channels), uint8 or float32, 0..255; labels `y` (n,), int64."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image classification set: what to train on, what to choose by, what to report on.

    `flip` says whether a horizontally mirrored image keeps its class. `notes` tells, in plain
    sentences, what was done to the source (scaled, resized, split, skipped) and what was guessed.
    The images of each split stand in random order (drawn from the seed), never sorted by class.
    """

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]
    flip: bool = True
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels), the same for every image."""
        height, width, channels = self.train.x.shape[1:]
        return int(height), int(width), int(channels)
