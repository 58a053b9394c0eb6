"""The recipe: six steps from an untrained network to a trained, diagnosed and exported one."""

from kcnn.callbacks import read_curves
from kcnn.recipe.alone import refine, search
from kcnn.recipe.display import Display
from kcnn.recipe.hyper import HyperParameters
from kcnn.recipe.page import write_report
from kcnn.recipe.parameter import Parameter
from kcnn.recipe.runner import run
from kcnn.recipe.settings import BUDGETS, Budget, RecipeError, Settings
from kcnn.recipe.space import Space, load_space
from kcnn.recipe.step import Outcome, Step
from kcnn.recipe.steps.initial_loss import check_initial_loss
from kcnn.recipe.steps.learning_rates import sweep_learning_rates
from kcnn.recipe.steps.small_sample import overfit_small_sample

__all__ = [
    "BUDGETS", "Budget", "Display", "HyperParameters", "Outcome", "Parameter", "RecipeError",
    "Settings", "Space", "Step", "check_initial_loss", "load_space", "overfit_small_sample",
    "read_curves", "refine", "run", "search", "sweep_learning_rates", "write_report",
]  # fmt: skip
