"""ResNets with squeeze-and-excitation, with grouped convolutions, and with both.

Hu, Shen & Sun 2018, arXiv:1709.01507; Xie et al. 2017, arXiv:1611.05431. All are options of the
ResNet builder: `create_model("resnet18", se_ratio=1 / 16)` has no name of its own.
"""

from typing import Any

from kcnn.models._registry import register_model
from kcnn.models.resnet import TORCHVISION, BottleneckOptions, resnet

__all__ = [
    "resnext50_32x4d",
    "resnext101_32x8d",
    "seresnet50",
    "seresnet101",
    "seresnet152",
    "seresnext50_32x4d",
]

SENET = "Hu, Shen & Sun 2018, arXiv:1709.01507; as timm"
RESNEXT = "Xie et al. 2017, arXiv:1611.05431; as torchvision"

_COMMON: dict[str, Any] = {"names": (TORCHVISION,)}
_O = BottleneckOptions

_SE: dict[str, Any] = {**_COMMON, "source": SENET, "se_ratio": 1 / 16}
seresnet50 = register_model("seresnet50", resnet, _O, depths=(3, 4, 6, 3), **_SE)
seresnet101 = register_model("seresnet101", resnet, _O, depths=(3, 4, 23, 3), **_SE)
seresnet152 = register_model("seresnet152", resnet, _O, depths=(3, 8, 36, 3), **_SE)

_NEXT: dict[str, Any] = {**_COMMON, "source": RESNEXT, "groups": 32, "width_per_group": 4}
_NEXT_8D = {**_NEXT, "width_per_group": 8}
resnext50_32x4d = register_model("resnext50_32x4d", resnet, _O, depths=(3, 4, 6, 3), **_NEXT)
resnext101_32x8d = register_model("resnext101_32x8d", resnet, _O, depths=(3, 4, 23, 3), **_NEXT_8D)
seresnext50_32x4d = register_model(
    "seresnext50_32x4d", resnet, _O, depths=(3, 4, 6, 3), **{**_NEXT, "se_ratio": 1 / 16}
)
