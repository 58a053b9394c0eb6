"""Networks by name: `create_model("resnet20", classes=10)`; each gives float32 logits."""

from kcnn.models._card import Download, Packaged, WeightsCard, WeightsError
from kcnn.models._create import create_model
from kcnn.models._features import Feature, feature_info, features, reset_classifier
from kcnn.models._info import ModelInfo, model_info, model_table, multiply_adds
from kcnn.models._naming import Naming
from kcnn.models._options import Options
from kcnn.models._pretrained import register_weights
from kcnn.models._registry import Network, list_models, model_options, register_model
from kcnn.models.alexnet import alexnet
from kcnn.models.convnet import conv4
from kcnn.models.convnext import convnext_base, convnext_small, convnext_tiny
from kcnn.models.efficientnet import (
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from kcnn.models.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from kcnn.models.efficientnet_v2 import efficientnet_v2_s
from kcnn.models.mobilenet_v2 import mobilenet_v2
from kcnn.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from kcnn.models.plain import plain18, plain20, plain32, plain34, plain44, plain56, plain110
from kcnn.models.preact import resnet50v2, resnet101v2, resnet152v2, wide_resnet28_10
from kcnn.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from kcnn.models.resnet_cifar import (
    resnet8,
    resnet14,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from kcnn.models.resnext import (
    resnext50_32x4d,
    resnext101_32x8d,
    seresnet50,
    seresnet101,
    seresnet152,
    seresnext50_32x4d,
)
from kcnn.models.vgg import vgg11, vgg13, vgg16, vgg19
from kcnn.models.weights import LoadReport, load_weights, read_tensors

__all__ = [
    "Download",
    "Feature",
    "LoadReport",
    "ModelInfo",
    "Naming",
    "Network",
    "Options",
    "Packaged",
    "WeightsCard",
    "WeightsError",
    "alexnet",
    "conv4",
    "convnext_base",
    "convnext_small",
    "convnext_tiny",
    "create_model",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
    "efficientnet_v2_s",
    "feature_info",
    "features",
    "list_models",
    "load_weights",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
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
    "resnet8",
    "resnet14",
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
    "resnext50_32x4d",
    "resnext101_32x8d",
    "seresnet50",
    "seresnet101",
    "seresnet152",
    "seresnext50_32x4d",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "wide_resnet28_10",
]
