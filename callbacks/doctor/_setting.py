"""One change to a program, and how a training under it ended."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["Outcome", "Setting"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One change to the user's program; every field at its default is the program itself."""

    rate: float = 1.0
    hold: bool = False
    batch: int | None = None
    shuffle: bool | None = None
    scale_x: bool = False
    scale_y: bool = False
    balance: bool = False
    clip: bool = False
    edit: str = ""
    start: str = ""
    optimizer: str = ""
    loss: str = ""
    head: bool = False
    steps: float = 1.0
    clean: bool = False


@dataclasses.dataclass
class Outcome:
    """How a trial ended: skills on training and held-out rows, and its losses."""

    train: float
    val: float
    losses: np.ndarray
    steps: int
    balanced: float = 1.0
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """Mean of both skills; the training skill alone without held-out rows."""
        if not np.isfinite(self.val):
            return self.train
        return 0.5 * (self.train + self.val)
