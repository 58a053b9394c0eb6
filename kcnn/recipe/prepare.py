"""From what was asked for to what the steps work with; an impossible wish is said here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from kcnn.recipe.settings import RecipeError, Settings
from kcnn.recipe.space import Space
from kcnn.recipe.step import Context
from kcnn.recipe.training_data import ImageData, TrainingData, default_batch_size
from kcnn.recipe.transfer import FeatureData, Transfer

__all__ = ["Prepared", "default_space"]

RATE_FACTOR = 5.0  # rates searched from the pick of step 3 / 5 to * 5
# Keras takes the decay off beside the momentum, so it has to be 1 / (1 - 0.9) times the 5e-4 of
# Zagoruyko & Komodakis, arXiv:1605.07146, to be as strong.
DECAYS, DECAY = (5e-4, 2e-2), 5e-3
BATCH_FACTORS = (1, 0.5, 2)
DROPOUTS = (0.0, 0.2, 0.5)  # before a new head
JIT = {"auto": None, "on": True, "off": False}


class Prepared:
    """Data, models and space of a run, of a worker that joins it, or of one step alone.

    Attributes:
        identity: what makes the run this run.
        chosen: what was chosen for the user, in sentences.
    """

    def __init__(
        self,
        build: Build | keras.Model | None,
        data: Any,
        settings: Settings,
        *,
        space: Space | Mapping[str, Any] | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        compile_args: Mapping[str, Any] | None = None,
        backbone: keras.Model | None = None,
        source: str = "",
        folder: Path | None = None,
    ):
        if settings.deterministic:
            import tensorflow as tf

            tf.config.experimental.enable_op_determinism()
        self.settings = settings
        self.dataset = data if isinstance(data, Dataset) else load(data, seed=settings.seed)
        self.transfer: Transfer | None = None
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
            self.transfer = Transfer(backbone, self.dataset)
            self.build = self.transfer.head
            self.data = FeatureData(self.transfer, self.data, settings, folder or Path())
            space = {"dropout": list(DROPOUTS), **(space or {})}
        self.batch_size = default_batch_size(settings, self.data.train_images)
        self.space = _completed(space, self.batch_size, self.data.train_images)
        self.models = ModelCache(
            self.build,
            self.data.problem,
            optimizer=optimizer or settings.optimizer,
            seed=settings.seed,
            precision=settings.precision,
            compile_args=compile_args,
            strategy=strategy_of(settings.strategy),
            jit=JIT[settings.jit],
        )
        hp = {**self.space.defaults(), "batch_size": self.batch_size}
        self.first_model = self.models.fresh(hp)
        self.models.check_all_read(hp)
        self.identity = identity_of(
            self.build, self.first_model, self.dataset, settings, self.space, source
        )
        self.chosen = [] if settings.batch_size else [f"batch size {self.batch_size} by data size"]

    def context(
        self,
        state: Path,
        display: Display,
        clock: Clock | None = None,
        *,
        logs: Path | None = None,
        run_id: str = "run",
    ) -> Context:
        """What the steps share; they keep in `state` what they go on from."""
        return Context(
            self.settings,
            self.models,
            self.data,
            self.space,
            self.batch_size,
            state,
            display,
            clock or Clock(),
            logs=logs,
            run_id=run_id,
            identity=self.identity,
        )


def default_space(batch_size: int, images: int) -> Space:
    """Rate, weight decay and batch size around what is known before the search."""
    largest = max(1, images)
    sizes = dict.fromkeys(min(largest, max(2, int(batch_size * f))) for f in BATCH_FACTORS)
    return Space(
        {
            "learning_rate": Parameter(around=RATE_FACTOR),
            "weight_decay": Parameter(low=DECAYS[0], high=DECAYS[1], log=True, default=DECAY),
            "batch_size": Parameter(choices=tuple(sizes)),
        }
    )


def _completed(space: Any, batch_size: int, images: int) -> Space:
    """The space with the three parameters that every training has.

    Raises:
        RecipeError: a batch that is larger than the data.
    """
    given = dict(space or {})
    complete = Space({**default_space(batch_size, images), **given})
    sizes = complete["batch_size"]
    largest = max(sizes.choices) if sizes.choices else sizes.high
    if largest is not None and largest > images:
        raise RecipeError(
            f"space: batch_size goes up to {largest}, and there are {images} training images."
        )
    return complete
