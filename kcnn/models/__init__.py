"""Networks by name: `create_model("resnet20", classes=10)`; each gives float32 logits."""

from kcnn.models._info import ModelInfo, model_info, model_table, multiply_adds
from kcnn.models._registry import create_model, list_models, model_options
from kcnn.models.resnet import (
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
    resnet152,
)

__all__ = [
    "ModelInfo",
    "create_model",
    "list_models",
    "model_info",
    "model_options",
    "model_table",
    "multiply_adds",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
]
