"""Networks by name: `create_model("resnet20", classes=10)`; each gives float32 logits."""

from kcnn.models._card import Download, Packaged, WeightsCard, WeightsError
from kcnn.models._create import create_model
from kcnn.models._features import Feature, feature_info, features, reset_classifier
from kcnn.models._info import ModelInfo, model_info, model_table, multiply_adds
from kcnn.models._options import Options
from kcnn.models._pretrained import register_weights
from kcnn.models._registry import Network, list_models, model_options, register_model
from kcnn.models.alexnet import alexnet
from kcnn.models.plain import plain18, plain20, plain32, plain34, plain44, plain56, plain110
from kcnn.models.preact import resnet50v2, resnet101v2, resnet152v2, wide_resnet28_10
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
from kcnn.models.vgg import vgg11, vgg13, vgg16, vgg19
from kcnn.models.weights import LoadReport, load_weights, read_tensors

__all__ = [
    "Download",
    "Feature",
    "LoadReport",
    "ModelInfo",
    "Network",
    "Options",
    "Packaged",
    "WeightsCard",
    "WeightsError",
    "alexnet",
    "create_model",
    "feature_info",
    "features",
    "list_models",
    "load_weights",
    "model_info",
    "model_options",
    "model_table",
    "multiply_adds",
    "plain18",
    "plain20",
    "plain32",
    "plain34",
    "plain44",
    "plain56",
    "plain110",
    "read_tensors",
    "register_model",
    "register_weights",
    "reset_classifier",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet50v2",
    "resnet56",
    "resnet101",
    "resnet101v2",
    "resnet110",
    "resnet152",
    "resnet152v2",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "wide_resnet28_10",
]
