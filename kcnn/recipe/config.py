"""What a run of the recipe is asked to do, and how much work each budget allows."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["BUDGETS", "Budget", "RecipeConfig", "RecipeError"]


class RecipeError(ValueError):
    """A run that can't start or go on as asked; the message says what to change."""


@dataclass(frozen=True)
class Budget:
    """How much work the two searches may do.

    Updates are optimizer steps; they become epochs by the size of the data, so that small
    sets get many epochs and large ones few.

    Attributes:
        trials: trainings of the coarse search.
        coarse_updates: updates per coarse training, rounded to 1-5 epochs.
        widths: model sizes to search, as factors on the number of filters.
        refine_runs: longer trainings around the best trial.
        refine_updates: updates per longer training.
        refine_epochs: least and most epochs of a longer training.
    """

    trials: int
    coarse_updates: int
    widths: tuple[float, ...]
    refine_runs: int
    refine_updates: int
    refine_epochs: tuple[int, int]

    def epochs_coarse(self, updates_per_epoch: int) -> int:
        """Epochs of one coarse training: 1 to 5."""
        return _clip(round(self.coarse_updates / updates_per_epoch), 1, 5)

    def epochs_refine(self, updates_per_epoch: int) -> int:
        """Epochs of one longer training."""
        return _clip(round(self.refine_updates / updates_per_epoch), *self.refine_epochs)


BUDGETS = {
    "quick": Budget(4, 250, (1.0,), 1, 1200, (3, 25)),
    "standard": Budget(8, 500, (1.0, 2.0), 2, 6000, (8, 30)),
    "thorough": Budget(24, 2000, (0.5, 1.0, 2.0), 3, 40000, (15, 200)),
}

_CHOICES = {
    "budget": tuple(BUDGETS),
    "norm": ("batch", "group", "instance", "layer", "none"),
    "optimizer": ("sgd", "adamw"),
    "augment": ("auto", "none", "crop", "standard"),
    "search": ("random", "grid"),
}


@dataclass(frozen=True)
class RecipeConfig:
    """One run of the recipe.

    Attributes:
        data: "digits", a tensorflow-datasets name, a folder of class folders, or an .npz file.
        model: a name of `kcnn.list_models()`.
        norm: normalization kind of the model.
        seed: of the initial weights, the split, the shuffling and the search.
        budget: a key of `BUDGETS`.
        optimizer: "sgd" (Nesterov momentum 0.9) or "adamw".
        augment: a preset of `kcnn.augment`, or "auto": flips only where they keep the class.
        search: "random" or "grid".
        batch_size: images per update before the search varies it; None chooses by data size.
        image_size: height and width the images are resized to; None keeps them.
        max_images: a stratified subset of this size; None takes all.
        manual_dir: hand-downloaded files for tensorflow-datasets.
        data_dir: where tensorflow-datasets keeps what it prepared.
        keep_going: go on after a step that failed.

    Raises:
        RecipeError: a choice that does not exist, or a number out of range.
    """

    data: str = "digits"
    model: str = "resnet20"
    norm: str = "batch"
    seed: int = 0
    budget: str = "standard"
    optimizer: str = "sgd"
    augment: str = "auto"
    search: str = "random"
    batch_size: int | None = None
    image_size: int | None = None
    max_images: int | None = None
    manual_dir: Path | None = None
    data_dir: Path | None = None
    keep_going: bool = False

    def __post_init__(self):
        for field, allowed in _CHOICES.items():
            _check_choice(field, getattr(self, field), allowed)
        for field in ("batch_size", "image_size", "max_images"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise RecipeError(f"{field} must be at least 1; received {value}.")
        if not 0 <= self.seed < 2**31:
            raise RecipeError(f"seed must lie in 0..2**31-1; received {self.seed}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}


def _check_choice(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"{field} must be one of {', '.join(allowed)}; received {value!r}.{hint}")


def _clip(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
