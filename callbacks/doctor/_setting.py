"""One change to a program, and how a training under it ended."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["Outcome", "Setting"]

# What a trial changed, in the words of who would change it.
CHANGES = {
    "hold": "the first learning rate held to the end",
    "scale_x": "inputs scaled to mean 0 and spread 1",
    "scale_y": "targets scaled to mean 0 and spread 1",
    "balance": "every class weighted alike",
    "clip": "gradients clipped (clipnorm)",
    "head": "the customary last activation and loss",
    "clean": "untransformed rows",
}
EDITS = {
    "rectified": "relu in the hidden layers",
    "leaky": "leaky relu in place of relu",
    "relaxed": "dropout, noise and penalties taken down",
    "still": "the random transforms taken out",
    "thawed": "all layers trainable",
    "unnormed": "the doubtful normalization taken out",
    "wider": "wider hidden layers",
    "unstrided": "strides and pooling taken out",
    "bounded": "tanh in the recurrent layers",
    "bare_end": "the normalization before the output taken out",
    "deeper": "a hidden layer of 64 relu units added",
}


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

    def words(self, rate: float) -> str:
        """What was changed, with its numbers; `rate` is the program's own learning rate."""
        said = [words for name, words in CHANGES.items() if getattr(self, name)]
        if self.edit:
            said.append(EDITS[self.edit])
        if self.start:
            said.append("weights drawn anew (he_normal, glorot_uniform)")
        if self.optimizer:
            said.append(f"{self.optimizer} at learning rate {self.rate:g}")
        elif self.rate != 1.0:
            said.append(f"learning rate {self.rate * rate:.2g}")
        if self.batch is not None:
            said.append(f"batches of {self.batch}")
        if self.shuffle:
            said.append("shuffled rows")
        if self.steps != 1.0:
            said.append("training that goes on")
        return ", ".join(said)


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
