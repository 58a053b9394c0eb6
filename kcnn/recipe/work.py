"""What the six steps share: the data, the workbench, the display and what was found before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kcnn.augment import augmentation
from kcnn.callbacks import Finding
from kcnn.data import Dataset, batches
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
    _pipelines: dict[int, Any] = field(default_factory=dict)

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

    def train_data(self, batch_size: int | None = None):
        """Shuffled, augmented training batches; one pipeline per batch size, made once."""
        size = batch_size or self.batch_size
        if size not in self._pipelines:
            self._pipelines[size] = batches(
                self.dataset.train,
                size,
                shuffle=True,
                augment=augmentation(
                    self.augment_kind, self.dataset.image_shape, seed=self.config.seed
                ),
                seed=self.config.seed,
                drop_remainder=True,
            )
        return self._pipelines[size]

    def plain_data(self, split_name: str):
        """Batches of "train", "val" or "test" as they are, in order."""
        return batches(getattr(self.dataset, split_name), 256)

    def updates_per_epoch(self, batch_size: int) -> int:
        """Optimizer steps in one pass over the training images."""
        return len(self.dataset.train) // batch_size


def status_of(findings: tuple[Finding, ...]) -> str:
    """The worst verdict among the findings: "ok", "warning" or "failure"."""
    for severity in ("failure", "warning"):
        if any(f.severity == severity for f in findings):
            return severity
    return "ok"
