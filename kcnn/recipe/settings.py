"""What a run of the recipe is asked to do, and how much work each budget allows."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "BUDGETS", "CHOICES", "Budget", "RecipeError", "Settings", "did_you_mean", "first_line",
    "seconds_of",
]  # fmt: skip


class RecipeError(ValueError):
    """A run that can't start or go on as asked; the message says what to change.

    >>> from kcnn.recipe import RecipeError, Settings
    >>> try:
    ...     Settings(budget="quik")
    ... except RecipeError as error:
    ...     print(error)
    budget must be one of quick, standard, thorough; received 'quik'. Did you mean 'quick'?
    """


@dataclass(frozen=True)
class Budget:
    """How much work the two searches may do.

    Updates are optimizer steps; they become epochs by the size of the data, so that small
    sets get many epochs and a training on a large one may be a part of an epoch.

    Attributes:
        trials: trainings of the search.
        search_updates: updates per training of the search.
        widths: model sizes to search, as factors on the number of filters.
        refine_runs: longer trainings around the best trial.
        refine_updates: updates per longer training.
        refine_epochs: least and most epochs of a longer training.

    >>> from kcnn.recipe import BUDGETS
    >>> BUDGETS["quick"].trials < BUDGETS["thorough"].trials
    True
    """

    trials: int
    search_updates: int
    widths: tuple[float, ...]
    refine_runs: int
    refine_updates: int
    refine_epochs: tuple[int, int]


BUDGETS = {
    "quick": Budget(4, 250, (1.0,), 1, 1200, (3, 25)),
    "standard": Budget(8, 500, (1.0, 2.0), 2, 6000, (8, 30)),
    "thorough": Budget(24, 2000, (0.5, 1.0, 2.0), 3, 40000, (15, 200)),
}

CHOICES = {
    "budget": tuple(BUDGETS),
    "augment": ("auto", "none", "light", "crop", "standard", "strong", "mixup", "cutmix"),
    "search": ("random", "grid", "tpe"),
    "pruner": ("median", "asha", "none"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "jit": ("auto", "on", "off"),
}
FREE_ON_RESUME = ("keep_going", "storage", "time")  # they change no result that is there already


@dataclass(frozen=True)
class Settings:
    """One run of the recipe, apart from its model and its data.

    Attributes:
        seed: of the initial weights, the shuffling, the augmentation and the search.
        budget: a key of `BUDGETS`.
        time: wall time for all of it in seconds, or as text ("90s", "20m", "8h"); the trainings
            are then as long as it allows, and the budget's updates no longer count.
        optimizer: for models that come uncompiled: "sgd" (Nesterov momentum 0.9), "adamw" or the
            name of any optimizer of Keras.
        augment: a preset of `kcnn.augment`, or "auto": flips only where they keep the class;
            "mixup" and "cutmix" mix images and labels after that.
        search: "random", "grid" or "tpe".
        pruner: "median", "asha" or "none".
        batch_size: images per update before the search varies it; None chooses by data size.
        precision: dtype policy of the models.
        strategy: of `tf.distribute` on this machine: "mirrored" for all GPUs, one device like
            "GPU:1", "mirrored:GPU:0,GPU:1" for these, or None.
        jit: whether XLA compiles the training step: "on", "off", or "auto" as Keras decides.
        deterministic: TensorFlow's deterministic operations: a repeated or resumed run ends
            with the same weights, bit by bit.
        storage: an Optuna storage URL that several workers share; None: a journal file in the
            run's folder.
        keep_going: go on after a step that failed.

    Raises:
        RecipeError: a choice that does not exist, or a number out of range.

    >>> Settings(budget="quick").budget
    'quick'
    """

    seed: int = 0
    budget: str = "standard"
    time: float | str | None = None
    optimizer: str = "sgd"
    augment: str = "auto"
    search: str = "random"
    pruner: str = "median"
    batch_size: int | None = None
    precision: str = "float32"
    strategy: str | None = None
    jit: str = "auto"
    deterministic: bool = False
    storage: str | None = None
    keep_going: bool = False

    def __post_init__(self):
        for field, allowed in CHOICES.items():
            value = getattr(self, field)
            if value not in allowed:
                raise RecipeError(
                    f"{field} must be one of {', '.join(allowed)}; received {value!r}."
                    f"{did_you_mean(value, allowed)}"
                )
        if self.batch_size is not None and self.batch_size < 1:
            raise RecipeError(f"batch_size must be at least 1; received {self.batch_size}.")
        if not 0 <= self.seed < 2**31:
            raise RecipeError(f"seed must lie in 0..2**31-1; received {self.seed}.")
        if self.jit == "on" and (self.strategy or "").startswith("mirrored"):
            raise RecipeError(
                "jit='on' does not work with strategy 'mirrored' in Keras; give one of them."
            )
        object.__setattr__(self, "time", seconds_of(self.time))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return asdict(self)


UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(time: float | str | None) -> float | None:
    """Seconds of "90", "90s", "20m" or "1.5h"; None stays None."""
    if time is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(time))
    if match is None or match[2] not in UNITS or float(match[1]) <= 0:
        raise RecipeError(f"time must be like 90s, 20m or 8h; received {time!r}.")
    return float(match[1]) * UNITS[match[2]]


def first_line(error: BaseException) -> str:
    """The beginning of what an error says, for a line of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
    """' Did you mean 'x'?', or nothing where no word comes close."""
    near = difflib.get_close_matches(str(value), list(allowed), 1)
    return f" Did you mean {near[0]!r}?" if near else ""
