"""The recipe: six steps from an untrained network to a trained, diagnosed and exported one."""

from kcnn.recipe.config import BUDGETS, Budget, RecipeConfig, RecipeError
from kcnn.recipe.display import Display
from kcnn.recipe.runner import run_recipe

__all__ = ["BUDGETS", "Budget", "Display", "RecipeConfig", "RecipeError", "run_recipe"]
