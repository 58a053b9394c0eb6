"""What the six steps share: the data, the workbench, the display and what was found before."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcnn.augment import augmentation
from kcnn.callbacks import Finding
from kcnn.data import Dataset
from kcnn.recipe.config import BUDGETS, Budget, RecipeConfig
from kcnn.recipe.display import Display
from kcnn.recipe.workbench import Workbench

__all__ = ["StepOutcome", "Work", "status_of"]


@dataclass(frozen=True)
class StepOutcome:
    """What a step found: findings for people, a result for whoever goes on with it."""

    findings: tuple[Finding, ...]
    result: dict[str, Any]


@dataclass
class Work:
    """The state that the steps of one run share."""

    config: RecipeConfig
    dataset: Dataset
    bench: Workbench
    display: Display
    state: Path
    batch_size: int
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    model: keras.Model | None = None

    @property
    def budget(self) -> Budget:
        """The numbers of the budget that was asked for."""
        return BUDGETS[self.config.budget]

    @property
    def augment_kind(self) -> str:
        """The preset in use: "auto" flips only where a mirrored image keeps its class."""
        if self.config.augment != "auto":
            return self.config.augment
        return "standard" if self.dataset.flip else "crop"

    def train_data(self, batch_size: int | None = None, *, purpose: str):
        """Shuffled, augmented training batches in a pipeline of their own.

        Order and augmentation follow from the run's seed and `purpose` alone: not from what was
        trained before, nor from how far another pipeline has read ahead. So two runs draw the same,
        and one that was cut off and resumed (within a training: other batches from there).
        """
        drawn = np.random.SeedSequence([self.config.seed, zlib.crc32(purpose.encode())])
        seed = int(drawn.generate_state(1)[0]) % 2**31
        return self.dataset.train.batches(
            batch_size or self.batch_size,
            shuffle=True,
            augment=augmentation(self.augment_kind, self.dataset.image_shape, seed=seed),
            seed=seed,
            drop_remainder=True,
        )

    def plain_data(self, split_name: str):
        """Batches of "train", "val" or "test" as they are, in order."""
        return getattr(self.dataset, split_name).batches(256)

    def updates_per_epoch(self, batch_size: int) -> int:
        """Optimizer steps in one pass over the training images."""
        return len(self.dataset.train) // batch_size


def status_of(findings: tuple[Finding, ...]) -> str:
    """The worst verdict among the findings: "ok", "warning" or "failure"."""
    for severity in ("failure", "warning"):
        if any(f.severity == severity for f in findings):
            return severity
    return "ok"
