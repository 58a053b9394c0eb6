"""The steps of the recipe, in order. A new step is a file here and a line below."""

from typing import Any

from kcnn.recipe.step import Step
from kcnn.recipe.steps.curves import ReadCurves
from kcnn.recipe.steps.initial_loss import CheckInitialLoss
from kcnn.recipe.steps.learning_rates import SweepLearningRates
from kcnn.recipe.steps.refine import Refine
from kcnn.recipe.steps.search import Search
from kcnn.recipe.steps.small_sample import OverfitSmallSample

__all__ = ["STEPS"]

STEPS: tuple[Step[Any], ...] = (
    CheckInitialLoss(),
    OverfitSmallSample(),
    SweepLearningRates(),
    Search(),
    Refine(),
    ReadCurves(),
)
