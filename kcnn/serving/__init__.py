"""The way out: a trained model as a SavedModel that runs where kcnn is not installed."""

from kcnn.serving._output import gives_probabilities
from kcnn.serving.saved_model import export_saved_model

__all__ = ["export_saved_model", "gives_probabilities"]
