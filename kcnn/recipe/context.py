"""From what was asked for to what the steps work with; an impossible wish is said here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

from kcnn.data import Dataset, load
from kcnn.recipe.clock import Clock
from kcnn.recipe.devices import strategy_of
from kcnn.recipe.display import Display
from kcnn.recipe.identity import identity_of
from kcnn.recipe.model_cache import Build, ModelCache, as_builder
from kcnn.recipe.parameter import Parameter
from kcnn.recipe.settings import BUDGETS, Budget, RecipeError, Settings, seconds_of
from kcnn.recipe.shared_search import open_storage
from kcnn.recipe.space import Space
from kcnn.recipe.training_data import ImageData, TrainingData, default_batch_size
from kcnn.recipe.transfer import FeatureData, Transfer

__all__ = ["Context"]

RATE_FACTOR = 5.0  # rates searched from the pick of step 3 / 5 to * 5
# Keras takes the decay off beside the momentum, so it has to be 1 / (1 - 0.9) times the 5e-4 of
# Zagoruyko & Komodakis, arXiv:1605.07146, to be as strong.
DECAYS, DECAY = (5e-4, 2e-2), 5e-3
BATCH_FACTORS = (1, 0.5, 2)
DROPOUTS = (0.0, 0.2, 0.5)  # before a new head
JIT = {"auto": None, "on": True, "off": False}


class Context:
    """What the steps of a run share; also a worker that joins it, or one step alone.

    Attributes:
        results: of the steps before, by name.
        identity: what makes the run this run.
        chosen: what was chosen for the user, in sentences.
        state: the folder in which the steps keep what they go on from.
    """

    def __init__(
        self,
        build: Build | keras.Model | None,
        data: Any,
        settings: Settings,
        state: Path,
        *,
        display: Display | None = None,
        space: Space | Mapping[str, Any] | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        backbone: keras.Model | None = None,
        source: str = "",
    ):
        if settings.deterministic:
            import tensorflow as tf

            tf.config.experimental.enable_op_determinism()
        if optimizer is not None:  # a name or one of Keras; the record says which
            named = optimizer if isinstance(optimizer, str) else optimizer.name
            settings = replace(settings, optimizer=named)
        self.settings, self.state = settings, state
        self.display = display or Display()
        self.clock = Clock(seconds_of(settings.time))
        self.results: dict[str, Any] = {}
        self.logs: Path | None = None
        self.run_id = "run"
        self.dataset = data if isinstance(data, Dataset) else load(data, seed=settings.seed)
        self.data: TrainingData = ImageData(
            self.dataset,
            augment=settings.augment,
            seed=settings.seed,
            loss=loss,
            metrics=metrics,
        )
        if backbone is None:
            self.build = as_builder(build)
        else:
            transfer = Transfer(backbone, self.dataset)
            self.build = transfer.head
            self.data = FeatureData(
                transfer, self.data, settings, state, left=lambda: self.clock.left
            )
            space = {"dropout": list(DROPOUTS), **(space or {})}
        self.batch_size = default_batch_size(settings, self.data.train_images)
        self.space = _completed(space, self.batch_size, self.data.train_images)
        self.models = ModelCache(
            self.build,
            self.data.problem,
            optimizer=optimizer or settings.optimizer,
            seed=settings.seed,
            precision=settings.precision,
            strategy=strategy_of(settings.strategy),
            jit=JIT[settings.jit],
        )
        self.first_model = self.models.fresh(self.hp)
        self.models.check_all_read(self.hp)
        self.identity = identity_of(
            self.build, self.first_model, self.dataset, settings, self.space, source
        )
        given = {"loss": loss} | ({} if isinstance(optimizer, str) else {"optimizer": optimizer})
        self.identity["training"] = {k: _told(v) for k, v in given.items() if v is not None}
        self.chosen = [] if settings.batch_size else [f"batch size {self.batch_size} by data size"]

    @property
    def budget(self) -> Budget:
        """The numbers of the budget that was asked for."""
        return BUDGETS[self.settings.budget]

    @cached_property
    def storage(self) -> Any:
        """Of the search's trials; RecipeError where it can't be reached."""
        return open_storage(self.settings.storage, self.state)

    @property
    def hp(self) -> dict[str, Any]:
        """The values before the search; the learning rate is not known yet."""
        return {**self.space.defaults(), "batch_size": self.batch_size}

    def updates_per_pass(self, batch_size: int) -> int:
        """Optimizer steps in one pass over the training images."""
        return max(1, self.data.train_images // batch_size)


def _told(value: Any) -> str:
    """What tells an optimizer or a loss from another one."""
    if hasattr(value, "get_config"):
        return f"{type(value).__name__} {value.get_config()}"
    return str(getattr(value, "__name__", value))


def _completed(given: Any, batch_size: int, images: int) -> Space:
    """The space with the three parameters that every training has.

    Raises:
        RecipeError: a batch that is larger than the data.
    """
    largest = max(1, images)
    tried = dict.fromkeys(min(largest, max(2, int(batch_size * f))) for f in BATCH_FACTORS)
    usual = {
        "learning_rate": Parameter(around=RATE_FACTOR),
        "weight_decay": Parameter(low=DECAYS[0], high=DECAYS[1], log=True, default=DECAY),
        "batch_size": Parameter(choices=tuple(tried)),
    }
    complete = Space({**usual, **dict(given or {})})
    sizes = complete["batch_size"]
    most = max(sizes.choices) if sizes.choices else sizes.high
    if most is not None and most > images:
        raise RecipeError(
            f"space: batch_size goes up to {most}, and there are {images} training images."
        )
    return complete
